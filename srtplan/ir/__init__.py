"""The nouns: frozen types without logic, imported by every stage."""

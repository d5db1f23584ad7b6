"""What is particular to a wrapper of programs: ``prepare``, in the module of its name; the others only run the rest."""

#!/usr/bin/env python3
"""Create a model with only a config and a tokenizer, in the layout of Hugging Face's cache.

    tiny_model.py HF_HOME acme/tiny     prints HF_HOME/hub/models--acme--tiny/snapshots/<40 hex digits>

A mocker engine, a frontend and a load generator need no more than that. The printed directory is also a
complete model directory by itself. The same id gives the same bytes. Python's standard library only.

The vocabulary has 152,000 entries, because Dynamo's mocker draws token ids from a wide range, and a client
counts an answer without text as failed. They are the 256 bytes, made-up words, and at the end the special
tokens. There are no merges: a text is encoded byte by byte, and every id decodes to something.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from pathlib import Path

VOCABULARY = 152_000
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CONTEXT = 32_768
SYLLABLES = tuple(a + b for a in "bdfghjklmnprstvwz" for b in "aeiou")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_alphabet() -> list[str]:
    """Return the printable characters for the bytes 0 to 255 in a byte-level vocabulary."""
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    others = itertools.count(256)
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def vocabulary() -> list[str]:
    """Return all tokens except the special ones: bytes, then words with a leading space."""
    alphabet = byte_alphabet()
    space = alphabet[ord(" ")]
    words = (
        space + "".join(parts) for count in (2, 3, 4) for parts in itertools.product(SYLLABLES, repeat=count)
    )
    return [*alphabet, *itertools.islice(words, VOCABULARY - len(alphabet) - len(SPECIAL))]


def special_tokens() -> list[dict[str, object]]:
    """Return the special tokens, which come last, as tokenizer.json describes them."""
    first = VOCABULARY - len(SPECIAL)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [{"id": first + i, "content": text, **flags} for i, text in enumerate(SPECIAL)]


def tokenizer() -> dict[str, object]:
    """Return tokenizer.json: byte-level BPE without merges."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special_tokens(),
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(vocabulary())},
            "merges": [],
        },
    }


def model_files() -> dict[str, dict[str, object]]:
    """Return the files of the model: name and JSON content."""
    end, start = VOCABULARY - 1, VOCABULARY - 3
    ids = {"bos_token_id": start, "eos_token_id": end}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 4,
        "max_position_embeddings": CONTEXT,
        "vocab_size": VOCABULARY,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **ids,
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "bos_token": SPECIAL[0],
        "eos_token": SPECIAL[2],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    return {
        "config.json": config,
        "generation_config.json": {"max_new_tokens": 128, **ids},
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": tokenizer_config,
    }


def make(hf_home: Path, model: str) -> Path:
    """Write a model of this id ("owner/name") below HF_HOME and return its snapshot directory."""
    texts = {name: json.dumps(content, ensure_ascii=False) + "\n" for name, content in model_files().items()}
    digest = hashlib.sha256("\0".join([model, *texts.values()]).encode()).hexdigest()[:40]
    top = hf_home / "hub" / f"models--{model.replace('/', '--')}"
    snapshot = top / "snapshots" / digest
    snapshot.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (snapshot / name).write_text(text)
    (top / "refs").mkdir(exist_ok=True)
    (top / "refs" / "main").write_text(digest)
    return snapshot


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} HF_HOME OWNER/NAME")
    print(make(Path(sys.argv[1]), sys.argv[2]))

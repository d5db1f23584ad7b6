"""Which values of documents and texts are masked as secrets."""

from __future__ import annotations

import pytest
import yaml

from srtplan.submit.masking import is_secret, mask, mask_text, secret_values


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "token", "HUGGING_FACE_HUB_TOKEN", "api-key", "OPENAI_API_KEY", "apiKey", "secret_access_key",
     "NGC.PASSWORD", "DB_PASSWD", "credentials", "PRIVATE_KEY_PEM", "AUTH_KEY", "--api-key"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    """Whole words match in any case, with any prefix and suffix."""
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_num_tokens", "tokenizer", "TOKENIZERS_PARALLELISM", "skip-tokenizer-init", "keyboard", "secretary", "author",
     "num_tokens_per_key", "KV_KEY", "passwordless"],
)  # fmt: skip
def test_names_that_only_look_like_secrets(name: str) -> None:
    """Options of engines keep their values."""
    assert not is_secret(name)


def test_a_document() -> None:
    """Strings below a secret name are masked, also in lists and after a flag; numbers, null and references are kept."""
    document = {
        "env": {"HF_TOKEN": "hf", "MODE": "fast", "API_KEY": "$KEY", "PASSWORD": "${PW}", "TOKEN": None},
        "credentials": {"user": "me", "pin": [1, "x"]},
        "argv": ["serve", "--api-key", "k1", "--port", "8000"],
    }
    assert mask(document) == {
        "env": {
            "HF_TOKEN": "<secret>",
            "MODE": "fast",
            "API_KEY": "$KEY",
            "PASSWORD": "${PW}",
            "TOKEN": None,
        },
        "credentials": {"user": "<secret>", "pin": [1, "<secret>"]},
        "argv": ["serve", "--api-key", "<secret>", "--port", "8000"],
    }


def test_a_secret_is_masked_everywhere() -> None:
    """A known secret value is also masked in commands, unless it is short."""
    document = {"TOKEN": "longenough", "PASSWORD": "x", "command": "curl -H 'longenough' axb"}
    assert mask(document) == {
        "TOKEN": "<secret>",
        "PASSWORD": "<secret>",
        "command": "curl -H '<secret>' axb",
    }
    assert secret_values(document) == {"longenough"}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("  HF_TOKEN: abc # mine", "  HF_TOKEN: <secret> # mine"),
        ('env: {"API_KEY": "a b", MODE: fast}', 'env: {"API_KEY": "<secret>", MODE: fast}'),
        ("env: {TOKEN: it's, X: 1}", "env: {TOKEN: <secret>, X: 1}"),
        ("PASSWORD: 'it''s'", "PASSWORD: '<secret>'"),
        ("TOKEN: $HF_TOKEN", "TOKEN: $HF_TOKEN"),
        ("TOKEN: null", "TOKEN: null"),
        ("stop_token: 7", "stop_token: 7"),
        ("max_num_tokens: 8192", "max_num_tokens: 8192"),
        ("tokenizer: org/name", "tokenizer: org/name"),
        ("export HF_TOKEN=abc && run", "export HF_TOKEN=<secret> && run"),
        ("export HF_TOKEN=${HF_TOKEN}", "export HF_TOKEN=${HF_TOKEN}"),
        ("serve --api-key sk1 --port 1", "serve --api-key <secret> --port 1"),
        ("serve --api-key=sk1", "serve --api-key=<secret>"),
        ("https://me:pw@host/x", "https://<secret>@host/x"),
        ("http://host:8000/a@b", "http://host:8000/a@b"),
        ("hf_abcdefghijklmnopqrstuv", "<secret>"),
        ("half_abcdefghijklmnopqrstuv", "half_abcdefghijklmnopqrstuv"),
    ],
)
def test_a_text(text: str, masked: str) -> None:
    """Values in YAML and in commands are masked; comments, quotes and the surrounding text are kept."""
    assert mask_text(text) == masked


def test_a_secret_of_several_lines() -> None:
    """Each line of a block is masked separately, because a recipe's text indents them."""
    text = "env:\n  PRIVATE_KEY: |\n    begin-of-key\n    middle-of-it\n  B: c\n"
    masked = mask_text(text, secret_values(yaml.safe_load(text)))
    assert masked == "env:\n  PRIVATE_KEY: |\n    <secret>\n    <secret>\n  B: c\n"


def test_masked_yaml_is_still_yaml() -> None:
    """The masked copy of a recipe is valid YAML with the same keys."""
    text = 'a: {TOKEN: x y, B: [1]}\nSECRET: "q\\"w"\nc: \'https://u:p@h\'\n'
    masked = yaml.safe_load(mask_text(text))
    assert masked == {"a": {"TOKEN": "<secret>", "B": [1]}, "SECRET": "<secret>", "c": "https://<secret>@h"}

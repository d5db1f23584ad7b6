"""What counts as a secret, in documents and in texts, and what does not."""

from __future__ import annotations

import pytest
import yaml

from srtplan.submit.masking import is_secret, mask, mask_text, values


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "token", "HUGGING_FACE_HUB_TOKEN", "api-key", "OPENAI_API_KEY", "apiKey", "secret_access_key",
     "NGC.PASSWORD", "DB_PASSWD", "credentials", "PRIVATE_KEY_PEM", "AUTH_KEY", "--api-key"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    """Whole words in any case, with what stands before and after them."""
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_num_tokens", "tokenizer", "TOKENIZERS_PARALLELISM", "skip-tokenizer-init", "keyboard", "secretary", "author",
     "num_tokens_per_key", "KV_KEY", "passwordless"],
)  # fmt: skip
def test_names_that_only_look_so(name: str) -> None:
    """Options of engines keep their values."""
    assert not is_secret(name)


def test_a_document() -> None:
    """Every text below a secret's name, also in lists and after a flag; numbers, nothing and references stay."""
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


def test_a_secret_is_masked_wherever_it_stands() -> None:
    """A value that is known as a secret is also taken out of commands; short ones are not looked for."""
    document = {"TOKEN": "longenough", "PASSWORD": "x", "command": "curl -H 'longenough' axb"}
    assert mask(document) == {
        "TOKEN": "<secret>",
        "PASSWORD": "<secret>",
        "command": "curl -H '<secret>' axb",
    }
    assert values(document) == {"longenough"}


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
    """YAML and commands; comments, quotes and what surrounds the value stay."""
    assert mask_text(text) == masked


def test_a_secret_of_several_lines() -> None:
    """Each line of a block is taken out, for the text of a recipe has them one by one."""
    text = "env:\n  PRIVATE_KEY: |\n    begin-of-key\n    middle-of-it\n  B: c\n"
    masked = mask_text(text, values(yaml.safe_load(text)))
    assert masked == "env:\n  PRIVATE_KEY: |\n    <secret>\n    <secret>\n  B: c\n"


def test_masked_yaml_is_still_yaml() -> None:
    """The copy of a recipe can be read again, with the same keys."""
    text = 'a: {TOKEN: x y, B: [1]}\nSECRET: "q\\"w"\nc: \'https://u:p@h\'\n'
    again = yaml.safe_load(mask_text(text))
    assert again == {"a": {"TOKEN": "<secret>", "B": [1]}, "SECRET": "<secret>", "c": "https://<secret>@h"}

"""How names are spelled, and how they stay unique."""

from __future__ import annotations

from itertools import islice

import pytest

from pybridge.tfjs.topology.names import Names, first_free, numbered, snake, tfjs_name, underscored


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("poolSize", "pool_size"),
        ("pool_size", "pool_size"),
        ("channelsLast", "channels_last"),
        ("inputDim", "input_dim"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("MaxPooling2D", "max_pooling2d"),
        ("HardSigmoid", "hard_sigmoid"),
        ("LeCunNormal", "le_cun_normal"),
        ("KLDivergence", "kl_divergence"),
        ("L1L2", "l1_l2"),
        ("GRUCell", "gru_cell"),
        ("", ""),
    ],
)
def test_names_are_spelled_as_tensorflow_js_spells_them(written: str, expected: str) -> None:
    assert snake(written) == expected


def test_letters_that_tensorflow_js_refuses_become_underscores() -> None:
    assert [tfjs_name(name) for name in ("block 1/größe", "_hidden", "conv.1-a")] == ["block_1/gr__e", "layer_hidden", "conv.1-a"]


def test_a_name_that_is_taken_gets_a_number() -> None:
    names = Names()
    assert [names.reserve(name) for name in ("conv", "conv", "conv_1", "conv")] == ["conv", "conv_1", "conv_1_1", "conv_2"]


def test_names_are_unique_after_they_were_made_legal() -> None:
    names = Names()
    assert [names.reserve(name) for name in ("a b", "a_b")] == ["a_b", "a_b_1"]


def test_the_first_wish_that_is_free_is_granted() -> None:
    assert first_free(numbered("x"), ()) == "x"
    assert first_free(underscored("x"), {"x", "x_"}) == "x__"
    assert list(islice(numbered("x"), 3)) == ["x", "x_1", "x_2"]

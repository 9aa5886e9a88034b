from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.catalog.tree import Era
from wangp_downloader.catalog.variants import choose, dtype_after

T2V = [
    "x/high_mbf16.safetensors",
    "x/high_quanto_mbf16_int8.safetensors",
    "x/high_quanto_mfp16_int8.safetensors",
]
FP8_ONLY = ["x/a_bf16.safetensors", "x/a_fp8.safetensors"]
INT8_FIRST = ["x/a_quanto_bf16_int8.safetensors", "x/a_bf16.safetensors"]
BOTH = ["x/a_bf16.safetensors", "x/a_fp8_bf16.safetensors", "x/a_int8.safetensors"]


@pytest.mark.parametrize(
    ("urls", "quantization", "dtype", "expected"),
    [
        (T2V, "int8", "bf16", T2V[1]),
        (T2V, "int8", "fp16", T2V[2]),
        (T2V, "bf16", "bf16", T2V[0]),
        (T2V, "", "fp16", T2V[0]),
        (T2V, "nvfp4", "bf16", T2V[0]),
        (FP8_ONLY, "int8", "bf16", FP8_ONLY[1]),
        (INT8_FIRST, "bf16", "bf16", INT8_FIRST[0]),
        (BOTH, "int8", "bf16", BOTH[1]),  # both are eligible, and only the fp8 one names the data type
        (BOTH, "int8", "fp16", BOTH[2]),
        (BOTH, "fp8", "fp16", BOTH[1]),
        (["x/only_fp8.safetensors"], "bf16", "bf16", "x/only_fp8.safetensors"),
        (
            ["repo/int8/a.safetensors", "repo/int8/b_int8.safetensors"],
            "int8",
            "bf16",
            "repo/int8/b_int8.safetensors",
        ),
        ([], "int8", "bf16", None),
    ],
)
def test_today(urls: list[str], quantization: str, dtype: str, expected: str | None) -> None:
    assert choose(urls, quantization, dtype) == expected


@pytest.mark.parametrize(
    ("era", "quantization", "expected"),
    [
        (Era.FIRST, "int8", INT8_FIRST[0]),
        (Era.FIRST, "bf16", INT8_FIRST[1]),  # bf16 was "every name without quanto"
        (Era.TOKENS, "bf16", INT8_FIRST[0]),
        (Era.ORDERED, "bf16", INT8_FIRST[0]),
    ],
)
def test_earlier_rules(era: Era, quantization: str, expected: str) -> None:
    assert choose(INT8_FIRST, quantization, "bf16", era) == expected


def test_earlier_int8_does_not_fall_back_to_fp8() -> None:
    assert choose(FP8_ONLY, "int8", "bf16", Era.FIRST) == FP8_ONLY[0]
    assert choose(FP8_ONLY, "int8", "bf16", Era.TOKENS) == FP8_ONLY[1]
    assert choose(FP8_ONLY, "fp8", "bf16", Era.TOKENS) == FP8_ONLY[0]


@given(
    st.lists(st.text(alphabet="abint8fp16_quo/.", min_size=1), max_size=6),
    st.sampled_from(["int8", "fp8", "bf16", "", "nvfp4", "INT8"]),
    st.sampled_from(["bf16", "fp16"]),
    st.sampled_from(list(Era)),
)
def test_the_choice_is_always_one_of_the_variants(
    urls: list[str], quantization: str, dtype: str, era: Era
) -> None:
    choice = choose(urls, quantization, dtype, era)
    assert choice in urls if urls else choice is None


@pytest.mark.parametrize(
    ("transformer", "dtype", "expected"),
    [
        ("a_quanto_mfp16_int8.safetensors", "bf16", "fp16"),
        ("a_quanto_mbf16_int8.safetensors", "fp16", "bf16"),
        ("a_quanto_int8.safetensors", "fp16", "fp16"),
        ("a_fp16.safetensors", "bf16", "bf16"),
    ],
)
def test_modules_follow_a_quantized_transformer(transformer: str, dtype: str, expected: str) -> None:
    assert dtype_after(transformer, dtype) == expected

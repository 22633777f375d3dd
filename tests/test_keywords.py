"""Arguments that functions do not have: the error says what was meant."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import sparsecc
from sparsecc.errors import UserError


@pytest.mark.parametrize("call", [sparsecc.inspect, sparsecc.advise, sparsecc.tune])
def test_a_batch(call: Any) -> None:
    with pytest.raises(UserError, match=rf"^{call.__name__}: there is no batch=; the batch size is the first number"):
        call(None, batch=8)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"example_input": 1}, "there is no example_input=; expected example_inputs="),
        ({"batch_size": 8}, "there is no batch_size=; expected batch="),
        ({"inputs": 1}, "there is no inputs=; expected example_inputs=(x,)"),
        ({"minspeedup": 1}, "there is no minspeedup=; expected min_speedup="),
        ({"zzz": 1}, "there is no zzz=; expected one of model=, target=, example_inputs="),
    ],
)
def test_other_names(keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        sparsecc.compile(None, **keywords)
    assert said in str(error.value)


def test_too_many_without_a_name() -> None:
    call: Any = sparsecc.compile
    with pytest.raises(UserError, match=r"found 3 arguments without a name, expected at most 2 \(model, target\);"):
        call(None, "native", ())


def test_what_tools_see_is_the_function() -> None:
    assert list(inspect.signature(sparsecc.compile).parameters)[:3] == ["model", "target", "example_inputs"]
    assert (sparsecc.compile.__doc__ or "").startswith("Compile a network")

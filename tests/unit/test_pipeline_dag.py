"""Who waits for whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain.contract import Contract, Field, Input
from pipeline.domain.dag import Dag


def contract(name: str, *inputs: str, refers: str = "") -> Contract:
    reference = (refers, "id") if refers else None
    return Contract(
        dataset=name, version="1.0.0", layer="silver", domain="d", product="p", title="t", description="", owner="o",
        steward="s", fields=(Field("id", "string", "id", reference=reference),), key=("id",),
        inputs=tuple(Input(one) for one in inputs),
    )  # fmt: skip


def dag(**edges: list[str]) -> Dag:
    return Dag({name: contract(name, *inputs) for name, inputs in edges.items()})


def test_upstream_comes_first_and_the_order_is_always_the_same() -> None:
    found = dag(mart=["fact", "dim"], fact=["orders", "dim"], dim=["products"], orders=[], products=[])
    assert found.order() == ["orders", "products", "dim", "fact", "mart"]
    assert found.closure(["dim"]) == ["dim", "fact", "mart"]
    assert found.closure(["mart", "orders"]) == ["orders", "fact", "mart"]
    assert found.ancestors("fact") == ["orders", "products", "dim"]
    assert (found.upstreams("fact"), found.consumers("dim")) == ({"orders", "dim"}, {"fact", "mart"})


def test_a_reference_makes_its_dataset_wait_too() -> None:
    found = Dag({"orders": contract("orders", refers="customers"), "customers": contract("customers")})
    assert found.order() == ["customers", "orders"]


def test_a_dataset_that_refers_to_itself_does_not_wait_for_itself() -> None:
    assert Dag({"staff": contract("staff", refers="staff")}).upstreams("staff") == set()


def test_inputs_without_a_contract_are_left_out() -> None:
    assert dag(fact=["gone"]).order() == ["fact"]


def test_a_circle_is_named() -> None:
    with pytest.raises(ValueError, match=r"in a circle: .* → "):
        dag(a=["b"], b=["c"], c=["a"])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_in_every_order_all_upstreams_precede(edges: list[tuple[int, int]]) -> None:
    names = [f"d{number}" for number in range(10)]
    inputs: dict[str, set[str]] = {name: set() for name in names}
    for one, two in edges:
        if one != two:
            inputs[names[max(one, two)]].add(names[min(one, two)])
    found = Dag({name: contract(name, *sorted(given_)) for name, given_ in inputs.items()})
    place = {name: number for number, name in enumerate(found.order())}
    assert all(place[upstream] < place[name] for name in names for upstream in inputs[name])
    for name in names:
        assert set(found.closure([name])) == {name} | {other for other in names if name in found.ancestors(other)}

"""Every twin fulfils the contract: its functions are there, and take what callers hand them."""

import importlib
import inspect

import pytest

from fastnn.training import twins

CONTRACTS = {
    "network": twins.Network,
    "training": twins.Training,
    "end_epoch": twins.EndOfEpoch,
    "normal_equations": twins.NormalEquations,
    "slopes": twins.SlopesOfOutputs,
}
ALL = [(backend, part) for backend, modules in twins.MODULES.items() for part in modules if part in CONTRACTS]


def test_each_twin_has_each_part():
    assert twins.MODULES["numpy"].keys() >= CONTRACTS.keys()
    assert all(modules.keys() >= CONTRACTS.keys() - {"end_epoch"} for modules in twins.MODULES.values())  # one for all


@pytest.mark.parametrize(("backend", "part"), ALL)
def test_a_twins_functions_take_what_the_contract_says(backend, part):
    module = importlib.import_module(twins.MODULES[backend][part])
    functions = {name: f for name, f in vars(CONTRACTS[part]).items() if inspect.isfunction(f) and name[0] != "_"}
    assert functions
    for name, promised in functions.items():
        taken = inspect.signature(getattr(module, name)).parameters
        for parameter in list(inspect.signature(promised).parameters.values())[1:]:
            if parameter.kind is not parameter.VAR_KEYWORD:
                assert parameter.name in taken, f"{module.__name__}.{name} lacks {parameter.name}"
                promise = parameter.default
                if promise is ...:  # the twin's own function of that name
                    promise = getattr(importlib.import_module(twins.MODULES[backend]["network"]), parameter.name)
                assert taken[parameter.name].default == promise, f"{module.__name__}.{name}: {parameter.name}"

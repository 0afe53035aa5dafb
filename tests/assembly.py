"""Prints, for the loops of the matrix products, how many multiply-adds they hold and how often they touch the stack.

And how many masked stores a step of networks in lanes makes, which it need not.

Run in a process of its own, ``python tests/assembly.py TRIPLE CPU``; the environment says for which processor Numba
compiles (NUMBA_CPU_NAME and NUMBA_CPU_FEATURES). Code for another architecture is made from what LLVM optimised here,
with that one's registers; nothing of it is run.
"""

from __future__ import annotations

import json
import re
import sys
from unittest.mock import patch

import llvmlite.binding as llvm

FUSED = re.compile(r"\s(vfn?m(add|sub)\w+|fml[as](\.\w+)?)\s")
MASKED_STORE = re.compile(r"\svmaskmov\w+\s+%\w+, %\w+, \S*\(")
BRANCH = re.compile(r"\s(?:j\w+|b\.\w+|cbn?z|tbn?z)\s.*?(\.?LBB\w+)")


def loops(assembly: str, stack: re.Pattern[str]) -> list[tuple[int, int]]:
    """Multiply-adds and accesses to the stack of each innermost loop: a block that branches to its own start."""
    found, label, block = [], "", []
    for line in assembly.splitlines():
        if re.match(r"\.?LBB\w+:", line):
            label, block = line.partition(":")[0], []
        elif line.startswith("\t") and not line.startswith("\t."):
            block.append(line)
            branch = BRANCH.search(line)
            if branch and branch[1] == label:
                fused = sum(bool(FUSED.search(line)) for line in block)
                found.append((fused, sum(bool(stack.search(line)) for line in block)))
    return found


def main(triple: str, cpu: str) -> None:
    """Compile the products in either dtype, and a step in lanes, and print what is in them."""
    with patch.object(llvm, "get_process_triple", return_value=triple):
        import fastnn.kernels.simd.registers  # noqa: F401 - chooses by the triple
    from numba import types

    from fastnn import MLP, SGD
    from fastnn.kernels.functions.optimizers import rule_of
    from fastnn.kernels.lanes.members import step
    from fastnn.kernels.simd.types import pointer_type
    from fastnn.kernels.tiles.dense import large_product, product
    from fastnn.kernels.tiles.few_rows import fetching_product
    from fastnn.settings.catalogue import LOSSES

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
    stack = re.compile(r"\[sp|\(%rsp\)")

    def assembly(function, signature):
        code = function.overloads[signature].library.get_llvm_str()
        code = re.sub(r'target triple = ".*"', f'target triple = "{triple}"', code)
        code = re.sub(r'target datalayout = ".*"', f'target datalayout = "{machine.target_data}"', code)
        return machine.emit_assembly(llvm.parse_assembly(code))

    report = {}
    for dtype in ("float32", "float64"):
        place, n = pointer_type(dtype), types.intp
        signature = n, n, n, place, n, n, place, n, n, place, n, place, n
        products = {"product": product, "large_product": large_product, "fetching_product": fetching_product}
        for name, function in products.items():
            function.compile(signature)
            report[f"{name} {dtype}"] = loops(assembly(function, signature), stack)
    choices = {"packed": False, "penalised": False, "clipped": False, "selective": False, "validates": False}
    step.new_step(MLP((2, 16, 1), activation="relu").spec, LOSSES["mse"].code, rule_of(SGD())[0], 32, **choices)
    masked = len(MASKED_STORE.findall(assembly(step.take_steps, next(iter(step.take_steps.overloads)))))
    print(json.dumps({"loops": report, "masked stores": masked}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""``fastnn demo``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.apps.commands.files import check_output_file, save_figure
from fastnn.apps.commands.terminal import Terminal

if TYPE_CHECKING:
    from fastnn.apps.demo import Digits, Run

SUMMARY = "train the tutorial's network in four ways, then read handwritten digits, and draw a picture of both"
EXAMPLES = """\
examples:
  fastnn demo
  fastnn demo --seed 7 --output seven.png
  fastnn demo --no-picture
"""

#: What a picture's name may end in.
PICTURES = (".png", ".pdf", ".svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn demo``."""
    parser.add_argument("--seed", type=int, default=1, help="seed of the initial weights and of the split (default: 1)")
    parser.add_argument("--output", default="fastnn-demo.png", metavar="PNG", help="the picture (default: %(default)s)")
    parser.add_argument("--no-picture", action="store_true", help="draw no picture")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Run the demo; without the extra ``plot`` the picture is left out, and the extra named."""
    from fastnn.apps import demo
    from fastnn.checks import check_integer

    check_integer("--seed", args.seed, 0)
    if not args.no_picture:
        check_output_file(args.output)
        if Path(args.output).suffix not in PICTURES:
            raise ValueError(f"--output must end in one of {', '.join(PICTURES)}; got {args.output!r}")
    with terminal.working("the tutorial's network, in four ways"):
        runs = demo.tutorial(args.seed)
    _tell_tutorial(runs, terminal)

    with terminal.working("handwritten digits"):
        learned = demo.digits(args.seed)
    _tell_digits(learned, terminal)

    if not args.no_picture:
        try:
            with terminal.working("the picture"):
                save_figure(demo.figure(runs, learned), args.output)
            terminal.say(f"\nPicture: {args.output}")
        except ImportError as error:
            terminal.say(f"\nPicture left out: {error}.")


def _tell_tutorial(runs: dict[str, Run], terminal: Terminal) -> None:
    from fastnn.apps import demo
    from fastnn.apps.tutorial_samples import TUTORIAL_X, TUTORIAL_Y

    terminal.say(
        "The tutorial: a 3-4-1 sigmoid network learns xor from four samples, in\n"
        f"{demo.ITERATIONS:,} iterations from the same weights each time: with the tutorial's own NumPy code,\n"
        "our readable NumPy twin, plain compiled loops, and the tuned kernels.\n"
    )
    rows = [
        [" ".join(f"{bit:.0f}" for bit in sample), f"{target:.0f}", *(f"{run.outputs[k]:.6f}" for run in runs.values())]
        for k, (sample, target) in enumerate(zip(TUTORIAL_X, TUTORIAL_Y[:, 0], strict=True))
    ]
    terminal.table(["input", "target", *runs], rows)
    terminal.say()
    bar = runs[demo.BAR].seconds_per_iteration
    rows = [
        [name, f"{seconds * 1e6:.3f} us", f"{bar / seconds:.3g}x", f"{run.first_seconds * 1e3:.0f} ms"]
        for name, run in runs.items()
        for seconds in [run.seconds_per_iteration]
    ]
    terminal.table(["", "one iteration", "speed-up", f"first {demo.ITERATIONS:,}, compiling or loading included"], rows)
    terminal.say(
        "\n  Speed-ups are over the tutorial's own code. All end with the same weights, to within"
        f" {demo.difference(runs):.1e}."
    )


def _tell_digits(learned: Digits, terminal: Terminal) -> None:
    sizes = "-".join(map(str, learned.net.spec.sizes))
    terminal.say(
        f"\nReal input: a {sizes} relu network learns to read handwritten digits.\n\n"
        f"  {learned.n_train:,} images, {learned.epochs} epochs: {learned.train_seconds:.3f} s"
        f" (after {learned.compile_seconds:.2f} s of compiling or loading)\n"
        f"  {len(learned.labels)} held-out images: {learned.accuracy:.1%} classified correctly"
    )

"""``fastnn convert``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnn.apps.commands.files import check_distinct, check_output_file, known_as
from fastnn.apps.commands.terminal import Terminal
from fastnn.kernels.jit.signals import InterruptsHeld

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn import MLP

SUMMARY = "make a fastnn network from an ONNX file or from PyTorch weights"
EXAMPLES = """\
examples:
  fastnn convert model.onnx model.safetensors
  fastnn convert state.safetensors model.npz --activations relu,relu,identity
  fastnn convert state.safetensors model.npz --activations relu,identity --layers encoder.linear,head
"""

#: What to do instead of reading files that can hold code.
_INSTEAD = "which can hold code and is not read; in the program that made it, {}"
_REFUSED = {
    **dict.fromkeys(
        (".pt", ".pth", ".bin", ".ckpt"),
        "safetensors.torch.save_file(module.state_dict(), 'state.safetensors') or torch.onnx.export write what is read",
    ),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "fastnn.from_arrays or from_sklearn takes the model itself"),
    **dict.fromkeys((".keras", ".h5", ".hdf5"), "fastnn.from_keras(model).save('model.npz') writes what is read"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn convert``."""
    parser.add_argument("source", metavar="SOURCE", help="an .onnx, .safetensors or .npz file")
    parser.add_argument("target", metavar="TARGET", help="a .safetensors or .npz file")
    parser.add_argument(
        "--activations", metavar="NAME,...", help="one for each layer of a state_dict, the output layer last"
    )
    parser.add_argument(
        "--layers", metavar="NAME,...", help="the layers of a state_dict in order, if their names are not numbered"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), help="default: float64 if any weight is of it, else float32"
    )


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Read the network, say what it is, and save it."""
    from fastnn.checks.extras import require_all
    from fastnn.tabular.saved import is_table_model

    suffixes = {Path(path).suffix for path in (args.source, args.target)}
    packages = {".onnx": ("onnx", "onnx"), ".safetensors": ("safetensors", "io")}
    require_all(dict(packages[suffix] for suffix in packages if suffix in suffixes))
    check_output_file(args.target)
    check_distinct(SOURCE=args.source, TARGET=args.target)
    net = read(Path(args.source), args.activations, args.dtype, args.layers)
    with InterruptsHeld():
        with known_as("TARGET"):
            net.save(args.target)
        terminal.say(f"{net!r}\nModel: {args.target}")
    if args.activations is None and is_table_model(args.source):
        terminal.say("This is the best network of a model of `fastnn train`; how columns are encoded is not kept.")


def read(source: Path, activations: str | None, dtype: str | None, layers: str | None = None) -> MLP:
    """The network in a file.

    Raises
    ------
    ValueError
        If it is of another kind; the message says what to do instead.
    """
    import fastnn
    from fastnn.models import files
    from fastnn.models.load import network_of

    if source.suffix in _REFUSED:
        raise ValueError(f"{source} is a file {_INSTEAD.format(_REFUSED[source.suffix])}")
    if layers is not None and activations is None:
        raise ValueError("--layers must go with --activations, as both are of a state_dict")
    if activations is not None and source.suffix != ".safetensors":
        raise ValueError(f"--activations must be left out for {source}, which holds them; they are for a state_dict")
    if source.suffix == ".onnx":
        return fastnn.from_onnx(source, dtype=dtype)
    if source.suffix == ".safetensors" and activations is not None:
        ordered = _ordered(_state_in(source), layers.split(",") if layers is not None else None, source)
        return fastnn.from_torch(ordered, activations.split(","), dtype=dtype)
    if source.suffix not in (".safetensors", ".npz"):
        raise ValueError(f"SOURCE must end in .onnx, .safetensors or .npz; got {str(source)!r}")
    saved = files.read(source)
    if not isinstance(saved, files.SavedNetwork):
        raise ValueError(f"SOURCE must be one network; {source} is an ensemble")
    loaded = network_of(saved)
    made = fastnn.from_arrays(loaded.weights, loaded.biases or None, list(loaded.spec.activations), dtype=dtype)
    return network_of(saved._replace(spec=made.spec, params=made.params))  # with its domain


def _state_in(source: Path) -> dict[str, NDArray]:
    """The arrays in a safetensors file; those of bfloat16, which NumPy lacks, as float32, of which it is a half."""
    import numpy as np

    from fastnn.checks.extras import require
    from fastnn.models.reading import require_file

    require_file(source)  # a device might never end
    content, safetensors = source.read_bytes(), require("safetensors", "io")
    try:
        entries = safetensors.deserialize(content)
    except Exception as error:  # a damaged file fails in any of a dozen ways
        raise ValueError(f"{source} cannot be read as a safetensors file: {error}") from error
    state = {}
    for name, entry in entries:
        kind, data = entry["dtype"], entry["data"]
        if kind == "BF16":
            array = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        elif number := re.fullmatch("([FIU])(8|16|32|64)", kind):
            array = np.frombuffer(data, f"<{number[1].lower()}{int(number[2]) // 8}")
        else:
            raise ValueError(f"{source} must hold floats of 16, 32 or 64 bits, or integers; {name!r} is {kind}")
        state[name] = array.reshape(entry["shape"])
    if not state:
        raise ValueError(f"{source} must hold the arrays of a state_dict; it holds none")
    return state


def _ordered(state: dict[str, Any], layers: list[str] | None, source: Path) -> dict[str, Any]:
    """A state in the order of its layers, which a safetensors file does not keep."""
    from fastnn.exchange.torch import are_numbered, by_numbers

    names = sorted({key.rpartition(".")[0] for key in state})
    if layers is None and not are_numbered(names):
        raise ValueError(f"--layers must give the order of the layers in {source}, {', '.join(names)}; got none")
    if layers is not None and sorted(layers) != names:
        raise ValueError(f"--layers must name the layers in {source}, {', '.join(names)}; got {', '.join(layers)}")
    if layers is not None and are_numbered(names) and layers != (numbered := by_numbers(names)):
        raise ValueError(f"--layers must keep the order of the numbers, {', '.join(numbered)}; got {', '.join(layers)}")
    keys = sorted(state, key=lambda key: layers.index(key.rpartition(".")[0])) if layers else state
    return {key: state[key] for key in keys}

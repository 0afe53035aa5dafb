"""A peer in another environment, such as an older version of it, run by that environment's interpreter."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from fastnn import __version__
from fastnn.apps.comparison.peers import PEERS
from fastnn.apps.comparison.running import Entrant, json_from
from fastnn.checks import check_name

#: Tells what is installed there.
PROBE = """
import importlib.metadata, json, platform, fastnn
peer = importlib.metadata.version("{distribution}")
print(json.dumps(dict(python=platform.python_version(), fastnn=fastnn.__version__, peer=peer)))
"""


def entrants(texts: Sequence[str]) -> list[Entrant]:
    """Who takes part by interpreters of their own, each under a title of its own; see `entrant`."""
    found: dict[str, Entrant] = {}
    for text in texts:
        one = entrant(text)
        if one.title in found:
            raise ValueError(f"--python must name each peer once, or with labels; {one.title} came twice")
        found[one.title] = one
    return list(found.values())


def entrant(text: str) -> Entrant:
    """Who takes part by an interpreter of its own.

    Parameters
    ----------
    text : str
        ``PEER=PATH`` or ``PEER-LABEL=PATH``: a peer's name, what tells it from the one in this environment (its version
        there by default), and the other environment's interpreter.

    Raises
    ------
    ValueError
        If there is no such peer or interpreter, or if the environment lacks the peer or this version of fastnn.
    """
    name, _, path = text.partition("=")
    known, _, label = name.partition("-")
    if not path:
        raise ValueError(f"--python must be PEER=PATH or PEER-LABEL=PATH; got {text!r}")
    peer = PEERS[check_name("peer", known, PEERS)]
    if shutil.which(path) is None:
        raise ValueError(f"--python {name} must name an interpreter that can be run; got {path!r}")
    probe = PROBE.format(distribution=peer.distribution)
    found: Any = json_from([path, "-P", "-c", probe], 1)
    if not isinstance(found, dict):
        found = {"excuse": str(found)}
    if "excuse" in found:
        raise ValueError(f"--python {name} must have {peer.distribution} and fastnn; {path} says {found['excuse']!r}")
    if found["fastnn"] != __version__:
        raise ValueError(f"--python {name} must have fastnn {__version__}, as here; {path} has {found['fastnn']}")
    return Entrant(peer, 1, path, label or found["peer"], f"{peer.distribution} {found['peer']}")

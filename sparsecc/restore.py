"""How a pickled :class:`sparsecc.Compiled` comes back: apart from it, so that it can be read without the compiler."""

from __future__ import annotations

import pickle
from typing import Any

from sparsecc.errors import UserError, missing_package
from sparsecc.runtime import Library
from sparsecc.version import VERSION


def restore(version: str, kind: bytes, state: bytes, library: Library | None) -> Any:
    """Make what was pickled.

    Parameters
    ----------
    version : str
        Of the sparsecc that pickled it.
    kind, state : bytes
        The pickled class and attributes, which need the compiler's packages.
    library : Library or None
        None for a target that the machine can't run.

    Returns
    -------
    Compiled, or Library
        The library alone where the packages of the compiler are not installed: it runs, has the report and can be saved
        as a shared library.

    Raises
    ------
    UserError
        It is of another version; or there is neither a library nor the compiler.
    """
    try:
        compiled_class = pickle.loads(kind)
    except ModuleNotFoundError as error:
        found = missing_package(error)
        if library is None or found is error:
            raise found from None
        return library
    if version != VERSION:
        raise UserError(
            f"unpickle: found a network compiled by sparsecc {version}, this is {VERSION}; compile the model again, or "
            "save a library (.so) with that version, which this one loads"
        )
    compiled = compiled_class.__new__(compiled_class)
    vars(compiled).update(pickle.loads(state), _library=library)
    return compiled

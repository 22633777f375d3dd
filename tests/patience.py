"""How long tests wait for other processes and threads before they take them for hung."""

from __future__ import annotations

#: seconds; many times what anything takes, for other programs may need the machine
PATIENCE_S = 300.0

"""From PyTorch, or ONNX, to Relax: masks resolved, batch norm folded, one constant weight per layer."""

from sparsecc.importer.imported import Imported, import_model
from sparsecc.importer.models import with_shapes

__all__ = ["Imported", "import_model", "with_shapes"]

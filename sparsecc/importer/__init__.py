"""From PyTorch, or ONNX, to Relax: masks resolved, batch norm folded, one constant weight per layer."""

from sparsecc.importer.imported import Imported, import_model
from sparsecc.importer.models import with_shapes
from sparsecc.importer.requests import one_request, requests_of

__all__ = ["Imported", "import_model", "one_request", "requests_of", "with_shapes"]

"""From PyTorch to Relax: masks resolved, batch norm folded, one constant weight per layer."""

from sparsecc.importer.imported import Imported, import_model

__all__ = ["Imported", "import_model"]

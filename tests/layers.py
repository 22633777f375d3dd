"""The architecture as tables: which part of the package may import which, and what else."""

from __future__ import annotations

#: folder or file of the package, or a folder in one that is a layer of its own -> what it may import of the others;
#: only what stands above it, so there are no cycles
LAYERS: dict[str, set[str]] = {
    "text": set(),
    "untrusted": set(),
    "errors": {"text"},
    "version": set(),
    "ir": {"errors", "untrusted"},
    "analyse": {"errors", "ir", "text", "untrusted"},
    "runtime": {"errors", "untrusted"},
    # it writes files as the runtime does
    "page": {"analyse", "errors", "runtime", "text", "version"},
    "report": {"analyse", "errors", "ir", "page", "runtime", "text"},
    "build": {"errors", "ir", "runtime", "text", "version"},
    # `target/native/` measures with a C compiler
    "target": {"build", "errors", "runtime", "untrusted"},
    # what the environment says of threads
    "options": {"analyse", "errors", "ir", "runtime", "untrusted"},
    "keywords": {"errors"},
    "dump": {"errors"},
    "prune": {"errors", "text", "untrusted"},
    "_tvm": set(),
    "_passes": {"_tvm"},
    "_extremes": {"_tvm"},
    "_strided": {"_tvm"},
    "_codegen": {"_extremes", "_passes", "_strided", "_tvm"},
    "kernels": {"_tvm", "errors", "ir", "untrusted"},
    "lower/cost": {"analyse", "ir", "kernels", "target"},
    "lower": {"_codegen", "_tvm", "analyse", "lower/cost", "errors", "ir", "kernels", "target"},
    "importer": {"_tvm", "analyse", "errors", "ir", "kernels", "text", "untrusted"},
    "rewrite": {"_tvm", "analyse", "errors", "ir", "kernels", "lower", "target", "text"},
    "target/records": {"analyse", "lower/cost", "errors", "ir", "kernels", "lower", "runtime", "target", "untrusted"},
    "rewrite/shrink": {"_tvm", "analyse", "importer", "ir", "kernels", "lower", "rewrite"},
    "stages": {"errors"},
    "checker": {"_tvm", "analyse", "build", "errors", "ir", "importer", "lower", "rewrite"},
    "watch": {"_codegen", "_tvm", "analyse", "build", "checker", "dump", "ir", "importer", "rewrite", "stages"},
    "artefact": {"_tvm", "build", "errors", "ir", "report", "target"},
    "algorithms": {"analyse", "lower/cost", "ir", "lower", "options", "target"},
    "pipeline": {
        "_codegen", "algorithms", "analyse", "artefact", "build", "errors", "ir", "importer", "lower", "options",
        "target/records", "report", "rewrite", "rewrite/shrink", "stages", "target", "watch",
    },
    "tuning": {
        "_codegen", "_tvm", "algorithms", "analyse", "build", "lower/cost", "dump", "errors", "ir", "importer",
        "keywords", "kernels", "lower", "options", "pipeline", "target/records", "rewrite", "runtime", "target", "text",
        "untrusted", "version",
    },
    "fitted": {"target", "tuning"},
    "advice": {
        "_tvm", "algorithms", "analyse", "lower/cost", "dump", "errors", "fitted", "ir", "importer", "keywords",
        "kernels", "lower", "options", "pipeline", "target/records", "rewrite", "target", "text", "untrusted",
    },
    "verify": {
        "_codegen", "_tvm", "artefact", "build", "errors", "ir", "importer", "lower", "report", "runtime", "target",
        "text",
    },
    "deploy": {"artefact", "build", "errors", "ir", "runtime", "text", "version"},
    "restore": {"errors", "runtime", "version"},
    "several": {
        "_codegen", "_tvm", "algorithms", "analyse", "artefact", "build", "errors", "importer", "ir", "options",
        "pipeline", "report", "stages", "target", "target/records", "watch",
    },
    "finished": {"artefact", "build", "errors", "importer", "options", "report", "runtime", "verify"},
    "compiled": {
        "analyse", "artefact", "build", "deploy", "errors", "finished", "fitted", "ir", "importer", "keywords",
        "options", "pipeline", "target/records", "report", "restore", "runtime", "several", "target", "verify",
        "version",
    },
    "forecast": {
        "analyse", "build", "fitted", "importer", "keywords", "options", "pipeline", "report", "target",
        "target/records",
    },
    "pytorch": {"compiled", "errors", "options", "runtime", "target", "version"},
    "pytorch/quantized": {"errors", "importer", "text", "untrusted"},
    "__init__": {"errors", "runtime", "version"},
    "cli": {
        "__init__", "advice", "analyse", "compiled", "errors", "forecast", "ir", "options", "page", "pytorch",
        "pytorch/quantized", "target/records", "report", "runtime", "target", "text", "tuning", "untrusted",
    },
    "__main__": {"cli"},
}  # fmt: skip

#: what a layer may import inside a function besides, so that it costs nothing until it is used
LAZY: dict[str, set[str]] = {"runtime": {"pytorch", "report"}}

#: imports that break the rules, each with its reason; one that is no longer needed must go
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("rewrite/fuse.py", "sparsecc.importer.context"): "the name of the attribute that marks an activation",
}

#: packages that are neither ours nor Python's -> files and folders that may import them
OUTSIDE: dict[str, tuple[str, ...]] = {
    "numpy": (
        "several.py",
        "rewrite/shrink/",
        "pytorch/quantized/",
        "advice/",
        "ir/",
        "analyse/",
        "runtime/",
        "importer/",
        "kernels/",
        "lower/",
        "rewrite/",
        "build/",
        "tuning/",
        "cli/",
        "verify/",
        "several.py",
    ),
    "jinja2": ("page/render.py",),
    "rich": ("cli/",),
    "torch": ("importer/", "prune/", "pytorch/", "pytorch/quantized/", "verify/"),
    "torchao": ("pytorch/quantized/",),
    "onnx": ("importer/onnx/", "verify/onnx.py"),
    "onnxruntime": ("verify/onnx.py",),
    "google": ("importer/onnx/read.py",),
    "matplotlib": ("cli/advise_plot.py", "cli/tune_plot.py"),
    "tvm": ("_tvm.py",),
    "tvm_ffi": ("_tvm.py",),
    "xgboost": ("tuning/ranker.py",),
}

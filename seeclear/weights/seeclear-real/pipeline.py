# diffusers runs every file of this name in one module, and wants one pipeline in it
for name in [name for name in globals() if name.endswith("Pipeline")]:
    del globals()[name]
from seeclear import SeeClearPipeline  # noqa: E402, F401

from seeclear import SeeClearPipeline  # noqa: F401

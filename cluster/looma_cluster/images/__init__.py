"""Container images: what they are made of, when they are made, and by which builder.

Map: `catalog` lists the images as data. `content` turns the inputs of one image into its tag, so an image that
exists is never built again. `inputs` makes what goes in (root file system, dependencies, code, the console's
assets). `builders` runs buildah or Docker. `make` puts these together; the cluster's start and `looma images`
call the functions below and nothing else of this package.
"""

from looma_cluster.images.catalog import REGISTRY, Image
from looma_cluster.images.make import build, push, values

__all__ = ["REGISTRY", "Image", "build", "push", "values"]

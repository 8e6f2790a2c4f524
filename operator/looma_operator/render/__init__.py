"""Children as Kubernetes objects: pure functions from an AIService and a revision to manifests.

`children.render_children` gives the whole set; the other modules render one kind each. Only fields that Looma means
to own are rendered, since server-side apply makes it the owner of just those.
"""

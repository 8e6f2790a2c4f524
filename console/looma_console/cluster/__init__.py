"""The Kubernetes API as the console sees it: a watch that reads, an impersonating client that acts."""

"""A real Kubernetes on one machine, Looma's images, and the looma command."""

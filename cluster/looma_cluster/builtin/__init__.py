"""The built-in cluster: one node made of Linux namespaces on the machine at hand.

`cluster` is the door (up, down, running); `node` makes and ends the namespaces, `network` and `cgroups` what of it is
seen from the machine, `components` says which processes run in it and how, `layout` what it writes for them,
`addons` and `system_images` what runs in pods of kube-system.
"""

"""The gateway: one address, every engine behind it. HAProxy moves the bytes; what is here keeps it true to the cluster.

`translate` turns objects of the Kubernetes API into a `model.DataPlane`, `haproxy` turns that into HAProxy's
configuration and run-time commands, `controller` carries them out and `report` says in status what HAProxy really does.
"""

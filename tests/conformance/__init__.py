"""The Gateway API's conformance suite, run against the gateway of an instance of Looma."""

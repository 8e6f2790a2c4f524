"""Sends copies of requests to another service, compares its answers with the real ones, and throws them away.

Map: `layer` lies in the frame, sees who is to be copied and keeps what passes; `sending` has the bounded queue and the
workers that post the copies; `comparing` decides what differs; `observing` is what is counted and logged of it.
"""

from looma_core.http.shadow.layer import ShadowLayer
from looma_core.http.shadow.sending import Limits, Sender

__all__ = ["Limits", "Sender", "ShadowLayer"]

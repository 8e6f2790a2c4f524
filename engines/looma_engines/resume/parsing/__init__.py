"""A ``Document`` becomes a ``ParsedResume``: a spaCy pipeline of rules, in Chinese and English.

``pipeline.ResumeParser`` is the door. Its components run in this order and each is a module:
``dates``, ``sections``, ``skills``, ``contact``, ``experience``, ``education``, ``extras``,
``entities``. What they share is ``context.Context``, kept in ``Doc.user_data``; spans that a model could
find better later are in ``Doc.spans``, so a statistical component can take a rule's place.

All offsets are code points of ``Document.text``; the folded view has the same ones.
"""

from looma_engines.resume.parsing.pipeline import ResumeParser

__all__ = ["ResumeParser"]

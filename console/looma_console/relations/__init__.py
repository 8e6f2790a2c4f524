"""The section about relations on the pages of people, companies and jobs.

words        what each kind is called from either end, what a page can add, and what the rules ask
forms        from a form to a document, and from the engine's answer to a line
operations   asking the engine, with an audit entry
routes       parse, ask the operations, render
"""

"""Pages about jobs and companies: lists, forms, one record with its quality.

kinds        what each kind's pages show and ask
forms        from a form to a document and to a merge patch, and back
operations   asking the engine, with an audit entry
routes       parse, ask the operations, render
"""

"""Files of people, jobs and companies: imported with a preview, and exported.

`kinds` says what each page is about, `operations` calls the engine and writes the audit, `routes` parse and render.
"""

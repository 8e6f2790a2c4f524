"""The engine that keeps the people of the CRM.

Map: `app` builds the application, `routes` parse and render, `service` does the work, `repository` reads and
writes rows, `rules` decide what a talent may look like, `cursor` pages, `models` map the tables.
"""

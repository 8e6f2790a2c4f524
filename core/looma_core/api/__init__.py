"""The one source of request, response and OpenAPI: msgspec Structs that engines fill and the console reads.

Map: `person` holds what a résumé and a talent share, `resume` the parsed document and its record, `talent`
the person in the CRM, `page` the envelope of every list. Engines return these Structs; Litestar turns them
into the OpenAPI document; the console decodes answers with them.
"""

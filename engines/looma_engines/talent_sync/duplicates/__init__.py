"""People who are there twice: found, shown with the reasons, merged, and taken apart again.

naming       names, in Chinese signs and in Latin letters, and how alike two are; pure
features     what of a person is compared; pure
keys         blocking keys: who is compared with whom at all; pure
scoring      what the fields say of two people, as weights and reasons; pure
choosing     what a merged record has, and what taking it apart puts back; pure
models       tables
repository   rows of keys, pairs and scans
scanning     keys of people made anew, and pairs found by them
review       lists, one pair, dismissing
ends         relations that go from one person to the other, and back
merges       merging and taking apart, one transaction each
routes       requests and answers
sources      what sync runs know of a person
survivors    where a person went who was merged
catching_up  everybody of a tenant who was written since the last look
command      `looma-engine records-duplicates`
"""

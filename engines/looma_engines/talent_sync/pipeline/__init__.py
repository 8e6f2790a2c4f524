"""Applications of people to jobs, and the stages that they go through.

    deciding      which moves are allowed, and where stages stand in their order; pure
    models        the tables
    stages        a tenant's stages: made on first use, added, ordered, renamed, retired
    repository    reads and writes applications and their moves
    applications  what can be done with applications: create, read, list, move
    bulk          several moves in one request
    funnel        how far a job's applications came
    following     what becomes of applications when two people are merged, and when they are two again
    routes        the endpoints

An application hangs on a relation `applied_to`: it is about the people and the job that the relation is about, and is
there as long as the relation is. The database keeps it so (`talent_sync_0013`), whoever changes the relation.
"""

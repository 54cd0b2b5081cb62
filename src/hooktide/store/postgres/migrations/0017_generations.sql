-- A process that is there holds a session lock under its number. Who finds it free releases what that
-- process had claimed, and raises its generation: so it learns of it, if it was alive after all.
-- ``held``: it has taken the lock, and its claims were not released since; a process of the version
-- before takes none.
ALTER TABLE hooktide.nodes ADD COLUMN generation bigint NOT NULL DEFAULT 0;
ALTER TABLE hooktide.nodes ADD COLUMN held boolean NOT NULL DEFAULT false;

/** Format of the log file; a file of another format is refused. */
export const LOG_SCHEMA_VERSION = 1;

/** Tables of the embedded log. */
export const LOG_SCHEMA = `
BEGIN EXCLUSIVE;
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, compacted INTEGER NOT NULL, retention_ms INTEGER);
CREATE TABLE IF NOT EXISTS partitions (topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, key TEXT NOT NULL, value BLOB, headers TEXT NOT NULL, timestamp INTEGER NOT NULL, PRIMARY KEY (topic, partition, offset)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS records_by_key ON records (topic, key);
CREATE INDEX IF NOT EXISTS records_by_time ON records (topic, timestamp);
CREATE TABLE IF NOT EXISTS members (grp TEXT NOT NULL, member TEXT NOT NULL, lease_until INTEGER NOT NULL, PRIMARY KEY (grp, member)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offsets (grp TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, owner TEXT, lease_until INTEGER NOT NULL, PRIMARY KEY (grp, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leaders (role TEXT PRIMARY KEY, holder TEXT NOT NULL, candidate TEXT NOT NULL, term INTEGER NOT NULL, lease_until INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = ${LOG_SCHEMA_VERSION};
COMMIT;
`;

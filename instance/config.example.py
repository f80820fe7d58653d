"""Settings of this server. Copy this file to config.py and keep the lines that you change.

Each can be set in the environment as well, as DEPLOYMETRICS_<NAME>, which goes first.
"""

# Signs the login cookie; at least 16 characters. Generated into the instance folder when not set.
# SECRET_KEY = None

# Earlier SECRET_KEYs, which go on working while the new one comes into use, so nobody is logged out.
# SECRET_KEY_FALLBACKS = ()

# Where all is kept: files: is JSON files in the instance folder; or the URL of a PostgreSQL database,
# postgresql+psycopg://USER@HOST:PORT/DATABASE.
# STORAGE = 'files:'

# How long to wait for an answer of the database, then two more for each server of it; what it has not confirmed by
# then is answered with 503.
# DATABASE_SECONDS = 5

# Whether the database prepares statements; not behind a PgBouncer older than 1.21 in transaction mode.
# DATABASE_PREPARE = True

# Where serve listens: HOST:PORT, or unix:PATH for a socket in the file system.
# BIND = '127.0.0.1:52311'

# The mode of that socket; all may connect by default, as to a port, and 660 leaves it to one group.
# SOCKET_MODE = '666'

# Which server serve runs: gunicorn, or granian, which is faster (deploymetrics[granian]).
# SERVER = 'gunicorn'

# How many processes serve has.
# WORKERS = 2

# How many threads each process of serve has.
# THREADS = 4

# The TLS certificate with its chain, PEM; a relative path of a setting starts at the instance folder.
# CERTFILE = ''

# The private key of the certificate, PEM and without a password.
# KEYFILE = ''

# For how long browsers that came over HTTPS use nothing else, on every port of the host; 0 for no time.
# HSTS_SECONDS = 31536000

# Whether serve writes a line for each request to standard output.
# ACCESS_LOG = True

# How serve writes its log and the lines of requests: text for people, or json, an object a line.
# LOG_FORMAT = 'text'

# What serve logs: error, warning, info or debug and what is graver.
# LOG_LEVEL = 'info'

# The largest request body, in bytes; a larger one is refused with 413.
# MAX_BODY_BYTES = 1048576

# How long a SessionToken from /api/login lives after its last use.
# SESSION_SECONDS = 300

# How long a browser's login lives after its last use.
# LOGIN_SECONDS = 28800

# When a SessionToken or a browser's login ends, in seconds after it began, however often it is used.
# SESSION_LIMIT_SECONDS = 604800

# How long after a login the pages make accounts, secrets and tokens; later they ask for the password again.
# PROOF_SECONDS = 600

# How long a worker remembers that a credential was right; 0 checks the password on each request.
# CREDENTIAL_CACHE_SECONDS = 60

# Hashes passwords; or scrypt:65536:8:2, scrypt:131072:8:1, pbkdf2:sha256:600000. Others change at login.
# PASSWORD_HASH = 'scrypt:32768:8:3'

# Wrong passwords that an account takes from one address before answers are delayed with 429.
# GUESSES = 5

# Wrong credentials of all kinds that one address may send before it is delayed with 429.
# GUESSES_PER_ADDRESS = 50

# The longest delay after wrong credentials; delays start at one second and double up to it.
# GUESS_DELAY_SECONDS = 900

# Units of numbers on the pages, by name, such as queue=items; names ending in _bytes and the like have theirs.
# UNITS = ()

# How many of the newest versions of a document all stay.
# HISTORY_VERSIONS = 1000

# For how many days the last version of each hour stays, beyond those.
# HISTORY_HOURLY_DAYS = 60

# For how many days the last version of each day stays, beyond those.
# HISTORY_DAYS = 800

# How many reverse proxies in front are trusted to set X-Forwarded-For, -Proto and -Host.
# PROXIES = 0

# Whether they also set X-Forwarded-Prefix, and so overwrite what a client sends: the path that they serve.
# PROXY_PREFIX = False

# Where people reach the server, https://HOST/PREFIX, whatever requests say.
# PUBLIC_URL = ''

# The hosts that a request may name, without ports; all when empty.
# TRUSTED_HOSTS = ()

# The header in which a reverse proxy names the account of whom it logged in; needs PROXIES.
# REMOTE_USER_HEADER = ''

# Other origins whose pages may use the API, wholly trusted.
# CORS_ORIGINS = ()

# How many numbers of one document /metrics shows; 0 for none.
# METRICS_PER_TAG = 500

# How many series of all documents /metrics shows; a document has three beside its numbers.
# METRICS_SERIES = 100000

# For how many days the audit log stays.
# AUDIT_DAYS = 400

# How large the audit log may be; its oldest lines go before that.
# AUDIT_MEGABYTES = 100

# Whether changes are refused with 503, while reading and logging in go on; serve runs no collector then.
# READ_ONLY = False

# Whether serve runs the collector, which fills the document platform.
# COLLECT = True

# How long after a collection the next one starts.
# COLLECT_INTERVAL_SECONDS = 300

# How long a source may take before it is stopped and counts as failed.
# COLLECT_TIMEOUT_SECONDS = 240

# The longest delay after failures of a source; delays start at the interval and double up to it.
# COLLECT_LONGEST_DELAY_SECONDS = 3600

# When a source is asked again after an error that trying again does not fix, such as a wrong password.
# COLLECT_PERMANENT_DELAY_SECONDS = 86400

# Where the collector posts that a tag is stale, and fresh again; empty for nowhere.
# WEBHOOK_URL = ''

# Signs what is posted there; at least 16 characters, from where the BigFix password may come.
# WEBHOOK_SECRET = ''

# The BigFix server to collect from, https://HOST:52311; empty for none.
# BIGFIX_SERVER = ''

# The BigFix operator, best a master operator: others see only their own part.
# BIGFIX_USER = ''

# The operator's password; from the environment, or from a config.py that only its owner may read.
# BIGFIX_PASSWORD = ''

# A bearer token in place of operator and password; from where the password may come.
# BIGFIX_TOKEN = ''

# A file of one line, OPERATOR:PASSWORD or Bearer TOKEN, that only its owner may read (0600).
# BIGFIX_CREDENTIALS_FILE = ''

# The SHA-256 fingerprint of the BigFix server's certificate; no other certificate is accepted then.
# BIGFIX_FINGERPRINT = ''

# A PEM file of the authorities that may sign the BigFix server's certificate; else the system's.
# BIGFIX_CA_FILE = ''

# How long to wait for a connection to the BigFix server.
# BIGFIX_CONNECT_SECONDS = 10

# How long to wait for the answer to one relevance expression.
# BIGFIX_QUERY_SECONDS = 60

# A dict of metric name → relevance that is added to the default table; None drops a default metric.
# BIGFIX_METRICS = {}

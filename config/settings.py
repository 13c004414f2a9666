"""The project's settings. What differs between places comes from the environment; README.md has a
table of it. Django's defaults are not repeated here.
"""

from pathlib import Path

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config import environment

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Who we are and who may call us -------------------------------------------------------------

DEBUG = environment.flag("DEBUG")

SECRET_KEY = environment.text("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Make one with\n\n"
            '    python3 -c "import secrets; print(secrets.token_urlsafe(50))"\n\n'
            "and put it into the environment, the same one for every process. "
            "On your own machine DEBUG=1 does without."
        )
    SECRET_KEY = "known to everybody, good enough on one's own machine"  # noqa: S105

ALLOWED_HOSTS = environment.hosts("ALLOWED_HOSTS")
if DEBUG and not ALLOWED_HOSTS:
    ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

# Other origins whose pages may read messages with the reader's cookies (CORS), and post (CSRF):
# exact ones, and only where messages are. A page of the same site (www.example.com for
# messages.example.com) gets the cookies as they are. One of a foreign site would need SameSite=None
# on both (they are Secure already); Lax is kept, for it protects everybody else.
CORS_ALLOWED_ORIGINS = environment.origins("CORS_ALLOWED_ORIGINS")
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = (*default_headers, "last-event-id", "cache-control")  # fetch-based SSE clients
CORS_URLS_REGEX = r"^/(messages|static)/"
CSRF_TRUSTED_ORIGINS = environment.origins("CSRF_TRUSTED_ORIGINS")

# --- What the project is made of ----------------------------------------------------------------

INSTALLED_APPS = [
    "daphne",  # first: it replaces runserver, so that development runs on the real server
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "servestatic",
    "notifications",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # before all that may answer, static files included
    "config.middleware.static_files",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.theme.theme",
            ],
        },
    },
]

# --- Data ---------------------------------------------------------------------------------------

SILENCED_SYSTEM_CHECKS: list[str] = []
# No ATOMIC_REQUESTS: Django refuses it for async views, and each act here is its own transaction.
DATABASES = {"default": environment.database("DATABASE_URL", default=BASE_DIR / "db.sqlite3")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    # MariaDB has no partial indexes: one that is partial elsewhere, and smaller for it, is left out
    # there, and whole indexes serve.
    SILENCED_SYSTEM_CHECKS += ["models.W037"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# How server processes tell each other that there is news. Empty: what the database offers.
NOTIFICATIONS_DOORBELL = environment.text("NOTIFICATIONS_DOORBELL")

# How many messages one member of staff may send in an hour, from the admin. 0: any number.
NOTIFICATIONS_SENDS_PER_HOUR = environment.whole("NOTIFICATIONS_SENDS_PER_HOUR", default=60)

# When Python looks for garbage in circles (`gc.set_threshold`); used by `config.asgi`.
GC_THRESHOLDS = environment.numbers("GC_THRESHOLDS", default=(10_000, 20, 50))

# --- What can be seen of it ---------------------------------------------------------------------

# Who may read `/metrics`: who has this token, and who asks from these networks. Neither: nobody.
METRICS_TOKEN = environment.secret("METRICS_TOKEN")
METRICS_NETWORKS = environment.networks("METRICS_NETWORKS")

# How often servers send a message to themselves to time it. 0: never.
CANARY_SECONDS = environment.seconds("CANARY_SECONDS")

# --- People -------------------------------------------------------------------------------------

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/messages/"
LOGOUT_REDIRECT_URL = "/"

# True would extend the session whenever a stream reconnects by itself: a forgotten tab would stay
# signed in for ever.
SESSION_SAVE_EVERY_REQUEST = False

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# --- Languages and time -------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Static files -------------------------------------------------------------------------------

# The ASGI server serves none, so the middleware does. DEBUG reads them where they lie; otherwise
# `manage.py collectstatic` first: hashed names, compressed, cached by browsers for ever.
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "config.storage.StaticFiles"
    },
}
# Said here because tests run with settings.DEBUG off whatever the environment says.
SERVESTATIC_USE_FINDERS = DEBUG
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_ALLOW_ALL_ORIGINS = False  # CORS_ALLOWED_ORIGINS is the one list

# --- Security -----------------------------------------------------------------------------------

# Nothing inline and nothing from elsewhere: a message is written by one person and read by many.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
CSRF_FAILURE_VIEW = "notifications.answers.csrf_failure"  # JSON for programs
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"

if not DEBUG:  # plain http on 127.0.0.1 must work on one's own machine
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    # Probes and Prometheus come from inside, over plain http.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
    SECURE_HSTS_SECONDS = 30 * 24 * 3600  # a month: long enough to protect, short enough to undo
    # Subdomains and browsers' preload lists are decisions of the whole domain, hard to take back.
    # One site on it must not make them, so `check --deploy` does not ask for them.
    SILENCED_SYSTEM_CHECKS += ["security.W005", "security.W021"]

# Only behind a proxy that sets the header itself: otherwise a client could claim https. Without it,
# a proxy that ends TLS sees every page redirected to itself.
if environment.flag("TRUST_X_FORWARDED_PROTO"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Logs ---------------------------------------------------------------------------------------

# Lines on stderr: whatever runs the process collects them. Errors of requests too, which Django
# would send by e-mail to nobody. For people only what they may have to do something about; as JSON,
# for programs, also a line for each stream and each message (`notifications.events`).
LOG_FORMAT = environment.one_of("LOG_FORMAT", "line", "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "config.logs.JsonFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},
        "notifications": {"level": "INFO"},
        "notifications.events": {"level": "INFO" if LOG_FORMAT == "json" else "WARNING"},
    },
}

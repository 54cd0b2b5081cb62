"""TLS to receivers: its settings, and explanations of failures for the endpoint's owner."""

import functools
import ssl


@functools.cache
def shared_tls() -> ssl.SSLContext:
    """Return the context shared by a process's senders: loading the system's roots takes long."""
    return default_tls()


def default_tls() -> ssl.SSLContext:
    """Return the default context: the system's roots, TLS 1.2 or newer, names always checked."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def tls_reason(error: ssl.SSLError) -> str:
    """Explain a TLS failure, in the handshake or after it, to the endpoint's owner."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE_REASONS.get(error.verify_code)
        return known or f"the certificate is not trusted: {error.verify_message}"
    reason = error.reason or ""
    if "CERTIFICATE_REQUIRED" in reason:
        return "the receiver requires a client certificate, which is not sent"
    if reason in _NO_TLS:
        return "the receiver does not speak TLS on this port"
    if "_ALERT_" in reason:
        alert = reason.partition("_ALERT_")[2].replace("_", " ").lower()
        return f"the receiver ended TLS: {alert}"
    return f"TLS failed: {reason.replace('_', ' ').lower() or 'no common parameters'}"


# OpenSSL's reasons for a plain HTTP answer to a handshake, which differ by its version.
_NO_TLS = {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}

# Numbers of OpenSSL's X509_V_ERR_*.
_CERTIFICATE_REASONS = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the certificate's chain ends in a root that is not trusted",
    20: "the certificate's issuer is not known; the chain may be incomplete",
    62: "the certificate is for another host name",
    64: "the certificate is for another address",
}

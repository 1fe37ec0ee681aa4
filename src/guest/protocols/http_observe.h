#pragma once
// What HTTP/1 and HTTP/2 say of a request in the same words. Pure; texts live in `scratch`.

#include <string>
#include <string_view>

#include "guest/protocols/observable.h"

namespace outguard::guest {

/// Observes one host as `kind` and the URL that it makes with `path`: "scheme://host[:port]/path",
/// scheme and host lower-case, port only when it is not the scheme's own. An empty path stands for
/// no URL, no host for nothing at all.
void observe_http_host(ObservableKind kind, std::string_view scheme, std::string_view host_and_port,
                       std::string_view path, std::string &scratch, ObservableSink &sink);

/// A method or user agent: printable, cut to 512 bytes.
void observe_http_text(ObservableKind kind, std::string_view value, std::string &scratch,
                       ObservableSink &sink);

} // namespace outguard::guest

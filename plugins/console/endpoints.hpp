// What `endpoints` says: which other circusds this console shows, and how each is reached. Read from the
// configuration, on circusd's loop; files of keys are read here, once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <circus/plugin.hpp>

namespace console {

struct CurveKeys {  // each as Z85
    std::string public_key, secret_key, server_key;
};

struct EndpointSettings {
    std::string name;     // as paths and the page have it
    std::string control;  // where commands go, as circusctl's --endpoint
    std::string events;   // where its events come from; empty: where it says itself
    std::optional<CurveKeys> keys;
};

// In the order of the names. Throws circus::Failure that says which entry is wrong, and what to write.
std::vector<EndpointSettings> read_endpoints(const circus::Json& endpoints);

// The keys of a file as `circusctl keygen FILE --server KEY` makes it; throws as above.
CurveKeys read_curve_file(const std::string& file);

// Where to subscribe: an address that means "any of mine" to the daemon is the one by which it is reached.
std::string reachable_events(const std::string& events, const std::string& control);

}  // namespace console

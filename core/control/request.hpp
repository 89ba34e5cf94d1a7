// The envelope of Circus's protocol: bytes of a client into a Request, fields or an error into the bytes of
// an answer. Pure functions; nothing that a client can send makes them throw, recurse deeply or use more than
// a small multiple of the message's size.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "supervise/arbiter.hpp"

namespace circus::control {

using supervise::Errno;

struct Request {
    Request();
    Request(Request&&) noexcept;
    Request& operator=(Request&&) noexcept;
    ~Request();

    std::string id = "null";  // JSON text, byte for byte as it was sent: numbers keep all their digits
    std::string command;      // as sent; looked up without case
    std::unique_ptr<Json> properties;  // never null, always an object
    bool cast = false;                 // the client wants no answer, whatever happens
};

struct Parsed {
    std::optional<Request> request;
    std::string answer;  // without a request: the error to send; empty: nothing is sent
};

// `now`: seconds since the epoch, for the answer's `time`.
Parsed parse_request(std::string_view bytes, double now);

// `fields` (an object, or null for none) stand beside status, time and id, and win over the first two.
Json ok_body(const Json& fields, double now);  // without the id
Json error_body(Errno number, std::string_view reason, double now);
std::string ok_answer(const Json& fields, double now, std::string_view id);
// The same of fields that are text already, an object's: {"pids":[1,2]}. Without `status`.
std::string ok_answer_of(std::string_view fields, double now, std::string_view id);
std::string ok_body_of(std::string_view fields, double now);  // without the id
std::string error_answer(Errno number, std::string_view reason, double now, std::string_view id);

}  // namespace circus::control

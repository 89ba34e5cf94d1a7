// The tables of stdout_stream and stderr_stream: the classes, and the options that they have between them.
#include <algorithm>
#include <mutex>
#include <utility>

#include <climits>

#include "base/text.hpp"
#include "config/offered_classes.hpp"
#include "config/option_row_impl.hpp"

namespace circus::config {
namespace {

using St = StreamConfig;

Row<St> max_bytes_row() {
    return make_row(
        "max_bytes", ValueType::Integer, &St::max_bytes, Effect::Respawn,
        "rotate before the file grows above; 0: never",
        [](const Json& value, std::string_view key, unsigned long long* out) {
            long long number = 0;
            auto fault = read_int(value, key, {0, LLONG_MAX}, &number);
            if (!fault) *out = static_cast<unsigned long long>(number);
            return fault;
        },
        [](unsigned long long value) { return Json(value); });
}

Choices<std::string> words(std::initializer_list<std::string_view> all) {
    Choices<std::string> choices;
    for (const auto word : all) choices.emplace_back(word, word);
    return choices;
}

std::vector<Row<St>> make_stream_rows() {
    using enum Effect;
    return {
        text_row("class", &St::class_name, Respawn, "what is done with the lines"),
        text_row("filename", &St::filename, Respawn, "the file; $(circus.wid) gives one file per worker"),
        text_row("time_format", &St::time_format, Respawn,
                 "the time before each line, as a format of strftime(3); %f are microseconds"),
        max_bytes_row(),
        integer_row("backup_count", &St::backup_count, {0, 100000}, Respawn,
                    "how many old files are kept; rotation by size needs at least 1, by time 0 keeps all"),
        choice_row(
            "rotate_when", &St::rotate_when,
            words({"S", "M", "H", "D", "W0", "W1", "W2", "W3", "W4", "W5", "W6", "MIDNIGHT"}),
            "the length of a period: a second, a minute, an hour, a day (as MIDNIGHT), or the week that "
            "ends with Monday (W0) … Sunday (W6)",
            Respawn),
        integer_row("rotate_interval", &St::rotate_interval, {1, 100000}, Respawn,
                    "how many of them a file is for"),
        boolean_row("utc", &St::utc, Respawn, "periods and names go by UTC, not by local time"),
        boolean_row("compress", &St::compress, Respawn, "old files are compressed, to FILE.gz"),
        choice_row("color", &St::color, words({"red", "green", "yellow", "blue", "magenta", "cyan", "white"}),
                   "colour of the lines; without it: a random one", Respawn),
        integer_row("lines", &St::lines, {1, 1'000'000}, Respawn,
                    "how many lines are kept in memory, of 16 MiB at the most, for `circusctl logs`"),
        choice_row(
            "on_slow", &St::on_slow,
            Choices<St::OnSlow>{{"block", St::OnSlow::Block}, {"drop", St::OnSlow::Drop}},
            "what happens when the lines are not taken fast enough: block lets the worker wait, drop loses "
            "lines and says how many bytes",
            Respawn),
    };
}

// Names that classes have which are offered at run time.
class Offered {
  public:
    void add(std::string name) {
        const std::lock_guard lock(mutex_);
        names_.push_back(std::move(name));
    }
    void remove(std::string_view name) {
        const std::lock_guard lock(mutex_);
        if (const auto at = std::find(names_.begin(), names_.end(), name); at != names_.end())
            names_.erase(at);
    }
    std::vector<std::string> names() {
        const std::lock_guard lock(mutex_);
        return names_;
    }

  private:
    std::mutex mutex_;  // reloadconfig reads a file in another thread
    std::vector<std::string> names_;
};

Offered& offered() {
    static Offered all;
    return all;
}

thread_local bool expects_classes = false;

// Options that every class has, also one that is offered.
constexpr std::string_view kCommon[] = {"class", "on_slow"};

template <class Range, class Name>
bool holds(const Range& range, const Name& name) {
    return std::find(std::begin(range), std::end(range), name) != std::end(range);
}

const StreamClass* find_class(std::string_view name) {
    for (const auto& row : stream_classes())
        if (row.name == name) return &row;
    return nullptr;
}

// The class a stream's table names, or what is wrong with that.
std::optional<Fault> read_class(const Json& value, std::string_view key, std::string* out) {
    Fault fault{Fault::Kind::Missing,
                std::string(key),
                "class",
                ValueType::Text,
                "; write class = \"FileStream\" or another class of streams",
                {},
                3};
    const auto given = value.find("class");
    if (given == value.end()) {
        fault.wire = cat(circus::py_repr(key), " must have a 'class' key");
        return fault;
    }
    fault.kind = Fault::Kind::WrongType;
    if (!given->is_string()) return fault;
    *out = given->get<std::string>();
    std::vector<std::string> names = offered().names();
    for (const auto& row : stream_classes()) names.emplace_back(row.name);
    if (holds(names, *out) || (expects_classes && !out->empty())) return std::nullopt;
    fault.kind = Fault::Kind::BadValue;
    const auto near = did_you_mean(*out, names);
    fault.text = near ? cat("no such class of streams; did you mean \"", *near, "\"?")
                      : cat("no such class of streams; there are ", join(names, ", "));
    return fault;
}

Fault stream_fault(Fault fault, std::string_view key) {
    fault.sub_key = std::exchange(fault.key, std::string(key));
    return fault;
}

const Row<St>* find_row(std::string_view name) {
    for (const auto& row : stream_rows())
        if (row.info.name == name) return &row;
    return nullptr;
}

Fault not_an_option(const StreamClass& stream_class, const std::string& name) {
    Fault fault{Fault::Kind::Unknown, name, {}, ValueType::Text, {}, {}, 3};
    if (find_row(name)) {
        fault.kind = Fault::Kind::NotOfClass;
        fault.text = stream_class.name;
        return fault;
    }
    const std::vector<std::string> names(stream_class.options.begin(), stream_class.options.end());
    fault.text = did_you_mean(name, names).value_or("");
    return fault;
}

}  // namespace

const std::vector<StreamClass>& stream_classes() {
    static const std::vector<StreamClass> classes{
        {"FileStream",
         "appends to a file; before it grows above `max_bytes` it is renamed to `….1`, older ones to `….2` "
         "and so on",
         {"class", "filename", "time_format", "max_bytes", "backup_count", "compress", "on_slow"},
         {"filename"}},
        {"WatchedFileStream",
         "appends to a file, and opens it anew when it was renamed or removed from outside, as logrotate "
         "does",
         {"class", "filename", "time_format", "on_slow"},
         {"filename"}},
        {"TimedRotatingFileStream",
         "appends to a file, one for each period; with the first line after a period its file is renamed to "
         "`….SUFFIX`, the "
         "time at which it began: `%Y%m%d%H%M%S` for S, `%Y%m%d%H%M` for M, `%Y%m%d%H` for H, else `%Y%m%d`",
         {"class", "filename", "time_format", "backup_count", "rotate_when", "rotate_interval", "utc",
          "compress", "on_slow"},
         {"filename", "rotate_when"}},
        {"StdoutStream", "writes to circusd's own standard output", {"class", "on_slow"}},
        {"FancyStdoutStream",
         "writes to circusd's own standard output, each line in a colour behind the time (`%Y-%m-%d "
         "%H:%M:%S`, or "
         "`time_format`) and the pid",
         {"class", "color", "time_format", "on_slow"}},
        {"QueueStream",
         "keeps the last lines in memory and nowhere else, for `circusctl logs`, which of the other classes "
         "has the last 32 KiB of each process",
         {"class", "lines"}},
    };
    return classes;
}

const std::vector<Row<StreamConfig>>& stream_rows() {
    static const auto rows = make_stream_rows();
    return rows;
}

const std::vector<OptionInfo>& stream_options() {
    static const auto list = [] {
        std::vector<OptionInfo> infos;
        for (const auto& row : stream_rows()) infos.push_back(row.info);
        return infos;
    }();
    return list;
}

void offer_stream_class(std::string name) {
    offered().add(std::move(name));
}

void withdraw_stream_class(std::string_view name) {
    offered().remove(name);
}

bool is_stream_class(std::string_view name) {
    return find_class(name) || holds(offered().names(), name);
}

ExpectStreamClasses::ExpectStreamClasses(bool some) : before_(std::exchange(expects_classes, some)) {}

ExpectStreamClasses::~ExpectStreamClasses() {
    expects_classes = before_;
}

Faults parse_stream(std::optional<StreamConfig>& target, const Json& value, std::string_view key) {
    if (!value.is_object()) return {wrong_type(key, ValueType::Stream)};
    std::string class_name;
    if (auto fault = read_class(value, key, &class_name)) return {*fault};
    const StreamClass* const own = find_class(class_name);
    Faults found;
    StreamConfig stream;
    Json others = Json::object();
    for (const auto& [name, content] : value.items()) {
        if (own ? holds(own->options, name) : holds(kCommon, name)) {
            for (auto& wrong : find_row(name)->parse(stream, content, name))
                found.push_back(stream_fault(std::move(wrong), key));
        } else if (own) {
            found.push_back(stream_fault(not_an_option(*own, name), key));
        } else {
            others[name] = content;
        }
    }
    if (!others.empty()) stream.offered = others.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (found.empty()) target = std::move(stream);
    return found;
}

Json stream_to_json(const std::optional<StreamConfig>& stream) {
    if (!stream) return {};
    Json shown = Json::object();
    if (!stream->offered.empty()) shown = Json::parse(stream->offered, nullptr, false);
    const StreamConfig defaults;
    for (const auto& row : stream_rows()) {
        const Json value = row.get(*stream);
        if (value != row.get(defaults)) shown[std::string(row.info.name)] = value;
    }
    return shown;
}

Faults check_stream(std::string_view key, const StreamConfig& stream) {
    Faults found;
    const StreamClass* const own = find_class(stream.class_name);
    if (!own) return found;
    for (const auto name : own->required) {
        const Json value = find_row(name)->get(stream);
        if (!value.is_null() && value != Json("")) continue;
        Fault fault{Fault::Kind::Missing,
                    std::string(key),
                    std::string(name),
                    ValueType::Text,
                    cat("; a ", own->name, " needs one"),
                    {},
                    3};
        found.push_back(std::move(fault));
    }
    const auto complain = [&](std::string_view option, std::string reason) {
        Fault fault = bad_value(key, std::move(reason));
        fault.sub_key = option;
        found.push_back(std::move(fault));
    };
    if (stream.max_bytes > 0 && stream.backup_count == 0)
        complain("max_bytes", "nothing is rotated without backups; write backup_count = 1 or more");
    else if (stream.compress && stream.class_name == "FileStream" && stream.max_bytes == 0)
        complain("compress", "nothing is compressed without rotation; write max_bytes and backup_count");
    return found;
}

}  // namespace circus::config

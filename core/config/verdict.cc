#include "config/verdict.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "config/option_row.hpp"

namespace circus::config {
namespace {

bool has_substitution(const Json& value) {
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    return text.find("$(circus.") != std::string::npos || text.find("((circus.") != std::string::npos;
}

bool is_absent(const Fault& fault) {
    return fault.kind == Fault::Kind::NotAvailable || fault.text.find(kNotAvailable) != std::string::npos;
}

template <class Section>
Verdict judged(const Row<Section>* row, std::string_view section, std::string_view name, const Json& value) {
    if (!row) return {Verdict::What::NotAvailable, {}};
    const ValueType type = row->info.type;
    if (type == ValueType::UserName || type == ValueType::GroupName || has_substitution(value)) return {};
    Section scratch;
    const Faults found = row->parse(scratch, value, name);
    if (found.empty()) return {};
    if (std::any_of(found.begin(), found.end(), is_absent)) return {Verdict::What::NotAvailable, {}};
    return {Verdict::What::Wrong, file_text(found.front(), section, value)};
}

template <class Section>
const Row<Section>* row_of(const std::vector<Row<Section>>& rows, std::string_view name) {
    const auto at =
        std::find_if(rows.begin(), rows.end(), [name](const auto& row) { return row.info.name == name; });
    return at == rows.end() ? nullptr : &*at;
}

}  // namespace

Verdict judge_option(SectionKind kind, std::string_view section, std::string_view name, const Json& value) {
    switch (kind) {
        case SectionKind::Circus:
            return judged(row_of(circus_rows(), name), section, name, value);
        case SectionKind::Socket:
            return judged(row_of(socket_rows(), name), section, name, value);
        case SectionKind::Watcher:
            return judged(find_watcher_row(name), section, name, value);
    }
    return {};
}

}  // namespace circus::config

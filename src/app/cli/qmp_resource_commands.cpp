// Banyan's own commands of QMP on what a VM may use of its host. CPU time is in microseconds a
// second, memory in bytes; a limit of -1 is none.
#include "app/cli/qmp_service.hpp"
#include "app/cli/resource_service.hpp"

namespace banyan {

namespace {

using qmp::Answer;
using qmp::Arguments;
using qmp::Type;

uint64_t amount_or(const Arguments& a, std::string_view name, uint64_t none, uint64_t before) {
    const int64_t value = a.has(name) ? a.integer(name) : -2;
    if (value == -1) return none;
    return value >= 0 ? static_cast<uint64_t>(value) : before;
}

bool take_terms(const Arguments& a, const std::string& of, ResourceTerms& terms) {
    terms.shares = amount_or(a, of + "-shares", kUsualShares, terms.shares);
    terms.reservation = amount_or(a, of + "-reservation", 0, terms.reservation);
    terms.limit = amount_or(a, of + "-limit", kUnlimited, terms.limit);
    return terms.shares >= 1 && terms.shares <= kMostShares && terms.limit != 0 &&
           terms.reservation <= terms.limit;
}

Answer set_resources(ResourceService& resources, const Arguments& a) {
    VmDemand wanted = resources.terms();
    wanted.pool = a.string("pool", wanted.pool);
    if (!take_terms(a, "cpu", wanted.cpu) || !take_terms(a, "memory", wanted.memory)) {
        return qmp::failure(
            "the terms make no sense: shares are 1 to 1000000, a reservation is at most the limit, "
            "and that is not 0; give others");
    }
    if (const auto changed = resources.change(wanted); !changed)
        return qmp::failure(changed.error());
    return qmp::nothing();
}

}  // namespace

void add_resource_commands(qmp::Commands& commands, ResourceService& resources) {
    commands.add({.name = "__org.banyan_query-resources",
                  .run = [&resources](const Arguments&) -> Answer { return resources.facts(); }});
    commands.add({.name = "__org.banyan_set-resources",
                  .arguments = {{"pool", Type::string, true},
                                {"cpu-shares", Type::integer, true},
                                {"cpu-reservation", Type::integer, true},
                                {"cpu-limit", Type::integer, true},
                                {"memory-shares", Type::integer, true},
                                {"memory-reservation", Type::integer, true},
                                {"memory-limit", Type::integer, true}},
                  .run = [&resources](const Arguments& a) { return set_resources(resources, a); }});
}

}  // namespace banyan

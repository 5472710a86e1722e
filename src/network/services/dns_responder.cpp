#include "network/services/dns_responder.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "network/packets/headers.hpp"
#include "support/object_bytes.hpp"

namespace banyan {

namespace {

struct DnsHeader {  // RFC 1035, 4.1.1
    be16 id;
    be16 flags;
    be16 questions;
    be16 answers;
    be16 authorities;
    be16 additionals;
};
static_assert(sizeof(DnsHeader) == 12);

constexpr uint16_t kResponse = 0x8000;
constexpr uint16_t kOpcode = 0x7800;
constexpr uint16_t kAuthoritative = 0x0400;
constexpr uint16_t kRecursionDesired = 0x0100;

enum class Rcode : uint16_t {
    ok = 0,
    format_error = 1,
    no_such_name = 3,
    not_implemented = 4,
    refused = 5
};

constexpr uint16_t kTypeA = 1;
constexpr uint16_t kTypePtr = 12;
constexpr uint16_t kTypeAny = 255;
constexpr uint16_t kClassIn = 1;
constexpr uint32_t kTimeToLive = 30;     // members come and go
constexpr uint16_t kFirstName = 0xC00C;  // 4.1.4: the name that the question has
constexpr size_t kMostOfName = 255;      // 2.3.4
constexpr size_t kMostOfLabel = 63;

struct Question {
    std::string name;  // in lower case, labels with dots between
    uint16_t type = 0;
    uint16_t cls = 0;
    size_t end = 0;  // behind it, in the query
};

char lower(std::byte byte) {
    const auto c = std::to_integer<char>(byte);
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Without pointers: nothing stands before the question that they could mean.
std::optional<Question> parse_question(std::span<const std::byte> query) {
    Question question;
    size_t at = sizeof(DnsHeader);
    for (;;) {
        if (at >= query.size()) return {};
        const auto length = std::to_integer<size_t>(query[at++]);
        if (length == 0) break;
        if (length > kMostOfLabel || length > query.size() - at ||
            question.name.size() + length + 1 > kMostOfName)
            return {};
        if (!question.name.empty()) question.name += '.';
        for (const std::byte byte : query.subspan(at, length))
            question.name += lower(byte);
        at += length;
    }
    const auto type = header_at<be16>(query, at);
    const auto cls = header_at<be16>(query, at + sizeof(be16));
    if (!type || !cls) return {};
    question.type = *type;
    question.cls = *cls;
    question.end = at + 2 * sizeof(be16);
    return question;
}

// "4.3.2.1.in-addr.arpa" is 1.2.3.4 (3.5).
std::optional<Ipv4Address> reverse_address(std::string_view name) {
    constexpr std::string_view kSuffix = ".in-addr.arpa";
    if (!name.ends_with(kSuffix)) return {};
    const auto backwards = parse_ipv4(name.substr(0, name.size() - kSuffix.size()));
    if (!backwards) return {};
    return Ipv4Address{swap_bytes(backwards->value)};
}

struct Answer {
    Rcode rcode = Rcode::ok;
    uint16_t type = 0;
    std::vector<std::byte> data;  // empty: the name has no such record
};

std::vector<std::byte> encode_name(const std::string& name) {
    std::vector<std::byte> bytes;
    for (size_t at = 0; at <= name.size();) {
        const size_t dot = std::min(name.find('.', at), name.size());
        bytes.push_back(static_cast<std::byte>(dot - at));
        for (; at < dot; ++at)
            bytes.push_back(static_cast<std::byte>(name[at]));
        at = dot + 1;
    }
    bytes.push_back(std::byte{0});
    return bytes;
}

Answer foreign_name(const DnsZone& zone) {
    return {zone.has_other_server() ? Rcode::refused : Rcode::no_such_name, 0, {}};
}

Answer answer_reverse(const Question& question, Ipv4Address address, const DnsZone& zone) {
    if (!zone.subnet().contains(address)) return foreign_name(zone);
    const std::string name = zone.name_of(address);
    if (name.empty()) return {Rcode::no_such_name, 0, {}};
    if (question.type != kTypePtr && question.type != kTypeAny) return {};
    return {Rcode::ok, kTypePtr, encode_name(fmt::format("{}.{}", name, zone.domain()))};
}

Answer answer_forward(const Question& question, const DnsZone& zone) {
    std::string_view name = question.name;
    const std::string suffix = fmt::format(".{}", zone.domain());
    if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
    if (name.find('.') != std::string_view::npos) {
        const bool own = name.size() != question.name.size();
        return own ? Answer{Rcode::no_such_name, 0, {}} : foreign_name(zone);
    }
    if (name == zone.domain()) return {};  // it is there, and has no records
    const auto address = zone.address_of(name);
    if (!address) return {Rcode::no_such_name, 0, {}};
    if (question.type != kTypeA && question.type != kTypeAny) return {};
    return {Rcode::ok, kTypeA, bytes_of(be32(address->value))};
}

Answer answer_question(const Question& question, const DnsZone& zone) {
    if (question.cls != kClassIn) return {Rcode::refused, 0, {}};
    if (const auto address = reverse_address(question.name))
        return answer_reverse(question, *address, zone);
    return answer_forward(question, zone);
}

std::vector<std::byte> response(const DnsHeader& query, std::span<const std::byte> question,
                                const Answer& answer) {
    DnsHeader header;
    header.id = query.id;
    const unsigned echoed = query.flags & (kOpcode | kRecursionDesired);
    header.flags = static_cast<uint16_t>(kResponse | kAuthoritative | echoed |
                                         static_cast<unsigned>(answer.rcode));
    header.questions = question.empty() ? uint16_t{0} : uint16_t{1};
    header.answers = answer.data.empty() ? uint16_t{0} : uint16_t{1};
    std::vector<std::byte> message = bytes_of(header);
    message.insert(message.end(), question.begin(), question.end());
    if (answer.data.empty()) return message;
    append_object(message, be16(kFirstName));
    append_object(message, be16(answer.type));
    append_object(message, be16(kClassIn));
    append_object(message, be32(kTimeToLive));
    append_object(message, be16(static_cast<uint16_t>(answer.data.size())));
    message.insert(message.end(), answer.data.begin(), answer.data.end());
    return message;
}

}  // namespace

std::vector<std::byte> answer_dns(std::span<const std::byte> query, const DnsZone& zone) {
    const auto header = header_at<DnsHeader>(query, 0);
    if (!header || (header->flags & kResponse) != 0) return {};
    if ((header->flags & kOpcode) != 0)
        return response(*header, {}, {Rcode::not_implemented, 0, {}});
    const auto question = header->questions == 1 ? parse_question(query) : std::nullopt;
    if (!question) return response(*header, {}, {Rcode::format_error, 0, {}});
    const auto asked = query.subspan(sizeof(DnsHeader), question->end - sizeof(DnsHeader));
    return response(*header, asked, answer_question(*question, zone));
}

}  // namespace banyan

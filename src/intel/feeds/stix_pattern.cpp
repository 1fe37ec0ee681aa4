#include "intel/feeds/stix_pattern.h"

#include <iterator>

namespace outguard::intel {

namespace {

using Kind = StixToken::Kind;
using Alternatives = std::vector<StixAlternative>;

/// Recursive descent with one token of look-ahead. A fault is kept and ends everything.
class PatternParser {
public:
  explicit PatternParser(std::string_view text) : lexer_(text) { advance(); }

  Parsed<Alternatives> run() {
    auto all = sequence();
    if (!fault_ && token_.kind != Kind::End) {
      fail();
    }
    return fault_ ? Parsed<Alternatives>(reject(*fault_)) : Parsed<Alternatives>(std::move(all));
  }

private:
  class Depth {
  public:
    explicit Depth(PatternParser &parser) : parser_(&parser) {
      if (++parser.depth_ > kMaxPatternDepth) {
        parser.fail(RejectReason::PatternTooComplex);
      }
    }
    Depth(const Depth &) = delete;
    Depth &operator=(const Depth &) = delete;
    ~Depth() { --parser_->depth_; }

  private:
    PatternParser *parser_;
  };

  void fail(RejectReason reason = RejectReason::BadPattern) {
    fault_ = fault_ ? *fault_ : reason;
    token_ = {}; // nothing is taken any more
  }
  void advance() {
    if (fault_) {
      return;
    }
    if (auto token = lexer_.next()) {
      token_ = std::move(*token);
    } else {
      fail();
    }
  }
  bool take(Kind kind, std::string_view text) {
    if (token_.kind != kind || token_.text != text) {
      return false;
    }
    advance();
    return true;
  }
  bool take_word(std::string_view word) { return take(Kind::Word, word); }
  bool take_mark(std::string_view mark) { return take(Kind::Mark, mark); }
  void expect_mark(std::string_view mark) {
    if (!take_mark(mark)) {
      fail();
    }
  }
  void expect(Kind kind) {
    if (token_.kind == kind) {
      advance();
    } else {
      fail();
    }
  }

  void append(Alternatives &all, Alternatives more) {
    if (all.size() + more.size() > kMaxAlternatives) {
      fail(RejectReason::PatternTooComplex);
      return;
    }
    std::move(more.begin(), more.end(), std::back_inserter(all));
  }

  static void mark_beyond(Alternatives &all, const char *what) {
    for (auto &one : all) {
      one.beyond = what;
    }
  }

  // ---- Observations

  Alternatives sequence() {
    auto all = any_observation();
    while (take_word("FOLLOWEDBY")) {
      append(all, any_observation());
      mark_beyond(all, "FOLLOWEDBY");
    }
    return all;
  }
  Alternatives any_observation() {
    auto all = every_observation();
    while (take_word("OR")) {
      append(all, every_observation());
    }
    return all;
  }
  Alternatives every_observation() {
    auto all = observation();
    while (take_word("AND")) {
      append(all, observation());
      mark_beyond(all, "AND of observations");
    }
    return all;
  }
  Alternatives observation() {
    const Depth depth(*this);
    Alternatives all;
    if (take_mark("[")) {
      all = any_term();
      expect_mark("]");
      qualify(all, Again::No);
    } else if (take_mark("(")) {
      all = sequence();
      expect_mark(")");
      qualify(all, Again::Yes);
    } else {
      fail();
    }
    return all;
  }

  enum class Again : std::uint8_t { No, Yes };
  /// Behind a bare observation each kind stands at most once.
  void qualify(Alternatives &all, Again again) {
    bool start = false;
    bool within = false;
    bool repeats = false;
    while (!fault_) {
      if (!start && take_word("START")) {
        start = again == Again::No;
        expect(Kind::Time);
        if (!take_word("STOP")) {
          fail();
        }
        expect(Kind::Time);
      } else if (!within && take_word("WITHIN")) {
        within = again == Again::No;
        positive();
        if (!take_word("SECONDS")) {
          fail();
        }
      } else if (!repeats && take_word("REPEATS")) {
        repeats = again == Again::No;
        positive();
        if (!take_word("TIMES")) {
          fail();
        }
      } else {
        break;
      }
      mark_beyond(all, "a qualifier");
    }
  }
  void positive() {
    const bool number = token_.kind == Kind::Integer || token_.kind == Kind::Float;
    if (!number || token_.text.starts_with('-')) {
      fail();
    } else {
      advance();
    }
  }

  // ---- Comparisons

  Alternatives any_term() {
    auto all = every_term();
    while (take_word("OR")) {
      append(all, every_term());
    }
    return all;
  }
  Alternatives every_term() {
    auto all = term();
    while (take_word("AND")) {
      all = product(all, term());
    }
    return all;
  }
  /// Every one of the left with every one of the right.
  Alternatives product(const Alternatives &left, const Alternatives &right) {
    Alternatives all;
    if (left.size() * right.size() > kMaxAlternatives) {
      fail(RejectReason::PatternTooComplex);
      return all;
    }
    for (const auto &one : left) {
      for (const auto &other : right) {
        auto both = one;
        both.terms.insert(both.terms.end(), other.terms.begin(), other.terms.end());
        if (both.terms.size() > kMaxTerms) {
          fail(RejectReason::PatternTooComplex);
          return {};
        }
        all.push_back(std::move(both));
      }
    }
    return all;
  }
  Alternatives term() {
    const Depth depth(*this);
    if (take_mark("(")) {
      auto all = any_term();
      expect_mark(")");
      return all;
    }
    StixTerm term;
    if (take_word("EXISTS")) {
      term.path = path();
      term.relation = "EXISTS";
      return {{{std::move(term)}, nullptr}};
    }
    term.path = path();
    const bool negated = take_word("NOT");
    if (take_word("IN")) {
      return set(std::move(term), negated);
    }
    relation(term);
    if (negated) {
      term.relation = "NOT";
    }
    return {{{std::move(term)}, nullptr}};
  }

  void relation(StixTerm &term) {
    for (const auto *mark : {"=", "=="}) {
      if (take_mark(mark)) {
        term.relation = "=";
        term.value = constant();
        return;
      }
    }
    for (const auto *mark : {"!=", "<>", "<", "<=", ">", ">="}) {
      if (take_mark(mark)) {
        term.relation = mark;
        term.value = constant();
        return;
      }
    }
    for (const auto *word : {"LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET"}) {
      if (take_word(word)) {
        term.relation = word;
        term.value = token_;
        expect(Kind::String);
        return;
      }
    }
    fail();
  }

  StixToken constant() {
    const bool truth =
        token_.kind == Kind::Word && (token_.text == "true" || token_.text == "false");
    if (!truth &&
        (token_.kind == Kind::Word || token_.kind == Kind::Mark || token_.kind == Kind::End)) {
      fail();
    }
    auto value = token_;
    advance();
    return value;
  }

  Alternatives set(StixTerm term, bool negated) {
    Alternatives all;
    expect_mark("(");
    term.relation = negated ? "NOT" : "=";
    do {
      term.value = constant();
      append(all, {{{term}, nullptr}});
    } while (!fault_ && take_mark(","));
    expect_mark(")");
    return all;
  }

  /// type:part(.part | [index])*
  std::string path() {
    auto text = token_.text;
    expect(Kind::Word);
    expect_mark(":");
    text += ':' + path_part();
    while (!fault_) {
      if (take_mark(".")) {
        text += '.' + path_part();
      } else if (take_mark("[")) {
        text += '[' + token_.text + ']';
        if (!take_mark("*")) {
          expect(Kind::Integer);
        }
        expect_mark("]");
      } else {
        break;
      }
    }
    return text;
  }
  std::string path_part() {
    auto text = token_.text;
    if (token_.kind != Kind::Word && token_.kind != Kind::String) {
      fail();
    }
    advance();
    return text;
  }

  StixLexer lexer_;
  StixToken token_;
  std::optional<RejectReason> fault_;
  std::size_t depth_ = 0;
};

} // namespace

Parsed<std::vector<StixAlternative>> parse_stix_pattern(std::string_view text) {
  if (text.size() > kMaxPatternBytes) {
    return reject(RejectReason::PatternTooComplex);
  }
  return PatternParser(text).run();
}

} // namespace outguard::intel

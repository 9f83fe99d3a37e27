#include "hal/base/datetime.h"

#define DAY_S 86400
#define LAST_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "SunMonTueWedThuFriSat";

/* Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March: the leap day comes last. */
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void civil_from_unix(int64_t unix_s, struct civil_time *out)
{
    if (unix_s < 0)
        unix_s = 0;
    if (unix_s > LAST_S)
        unix_s = LAST_S;
    int64_t days = unix_s / DAY_S;
    int second = (int)(unix_s % DAY_S);
    int64_t since = days + 719468;
    int64_t era = since / 146097, day_of_era = since % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = (int)(day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
    int march_month = (5 * day_of_year + 2) / 153;
    out->day = day_of_year - (153 * march_month + 2) / 5 + 1;
    out->month = march_month < 10 ? march_month + 3 : march_month - 9;
    out->year = (int)(year_of_era + era * 400) + (out->month <= 2);
    out->hour = second / 3600;
    out->minute = second / 60 % 60;
    out->second = second % 60;
    out->weekday = (int)((days + 4) % 7);
}

int64_t unix_from_civil(const struct civil_time *c)
{
    return days_from_date(c->year, c->month, c->day) * DAY_S + c->hour * 3600 + c->minute * 60 + c->second;
}

static int days_in_month(int year, int month)
{
    static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool date_exists(const struct civil_time *c)
{
    return c->month >= 1 && c->month <= 12 && c->day >= 1 && c->day <= days_in_month(c->year, c->month) && c->hour <= 23 &&
           c->minute <= 59 && c->second <= 60;
}

/* Takes exactly `digits` decimal digits off *text. */
static bool take_number(struct span *text, size_t digits, int *out)
{
    uint32_t value;
    if (text->len < digits || !span_to_u32(span_sub(*text, 0, digits), &value))
        return false;
    *out = (int)value;
    *text = span_from(*text, digits);
    return true;
}

static bool take(struct span *text, const char *literal)
{
    if (!span_starts_nocase(*text, literal))
        return false;
    *text = span_from(*text, span_of(literal).len);
    return true;
}

static bool take_fraction(struct span *text)
{
    if (!take(text, "."))
        return true;
    size_t digits = 0;
    while (digits < text->len && text->p[digits] >= '0' && text->p[digits] <= '9')
        digits++;
    *text = span_from(*text, digits);
    return digits > 0;
}

static bool take_offset(struct span *text, int *offset_s)
{
    int hour, minute;
    *offset_s = 0;
    if (take(text, "Z"))
        return true;
    int sign = span_starts(*text, "-") ? -1 : 1;
    if (!(take(text, "+") || take(text, "-")) || !take_number(text, 2, &hour) || !take(text, ":") ||
        !take_number(text, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *offset_s = sign * (hour * 3600 + minute * 60);
    return true;
}

/* A leap second is only one where a UTC day ends. */
static enum rc finish(const struct civil_time *c, int offset_s, int64_t *unix_s)
{
    if (!date_exists(c))
        return RC_INVALID;
    int64_t value = unix_from_civil(c) - offset_s;
    if (value < 0 || value > LAST_S || (c->second == 60 && value % DAY_S != 0))
        return RC_INVALID;
    *unix_s = value;
    return RC_OK;
}

enum rc rfc3339_parse(struct span text, int64_t *unix_s)
{
    struct civil_time c;
    int offset_s;
    bool good = take_number(&text, 4, &c.year) && take(&text, "-") && take_number(&text, 2, &c.month) && take(&text, "-") &&
                take_number(&text, 2, &c.day) && take(&text, "T") && take_number(&text, 2, &c.hour) && take(&text, ":") &&
                take_number(&text, 2, &c.minute) && take(&text, ":") && take_number(&text, 2, &c.second) && take_fraction(&text) &&
                take_offset(&text, &offset_s) && text.len == 0;
    return good ? finish(&c, offset_s, unix_s) : RC_INVALID;
}

void rfc3339_format(struct strbuf *out, int64_t unix_s)
{
    struct civil_time c;
    civil_from_unix(unix_s, &c);
    strbuf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

void rfc5322_date_format(struct strbuf *out, int64_t unix_s)
{
    struct civil_time c;
    civil_from_unix(unix_s, &c);
    strbuf_printf(out, "%.3s, %d %.3s %04d %02d:%02d:%02d +0000", day_names + 3 * c.weekday, c.day, month_names + 3 * (c.month - 1),
                  c.year, c.hour, c.minute, c.second);
}

static bool take_name(struct span *text, struct span names, int *index)
{
    for (size_t i = 0; i + 3 <= names.len; i += 3)
        if (span_eq(span_sub(*text, 0, 3), span_sub(names, i, 3))) {
            *index = (int)(i / 3);
            *text = span_from(*text, 3);
            return true;
        }
    return false;
}

enum rc http_date_parse(struct span text, int64_t *unix_s)
{
    struct civil_time c, check;
    bool good = take_name(&text, span_of(day_names), &c.weekday) && take(&text, ", ") && take_number(&text, 2, &c.day) &&
                take(&text, " ") && take_name(&text, span_of(month_names), &c.month) && take(&text, " ") &&
                take_number(&text, 4, &c.year) && take(&text, " ") && take_number(&text, 2, &c.hour) && take(&text, ":") &&
                take_number(&text, 2, &c.minute) && take(&text, ":") && take_number(&text, 2, &c.second) && span_is(text, " GMT");
    if (!good)
        return RC_INVALID;
    c.month++;
    int64_t value;
    enum rc rc = finish(&c, 0, &value);
    if (rc != RC_OK)
        return rc;
    civil_from_unix(c.second == 60 ? value - 1 : value, &check);
    if (check.weekday != c.weekday)
        return RC_INVALID;
    *unix_s = value;
    return RC_OK;
}

void duration_format(struct strbuf *out, int64_t seconds)
{
    static const struct {
        uint32_t seconds;
        const char *name;
    } unit[] = { { DAY_S, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    uint64_t left = seconds < 0 ? (uint64_t)0 - (uint64_t)seconds : (uint64_t)seconds;
    size_t first = 0;
    while (first < 3 && left < unit[first].seconds)
        first++;
    if (seconds < 0)
        strbuf_putc(out, '-');
    strbuf_printf(out, "%llu %s", (unsigned long long)(left / unit[first].seconds), unit[first].name);
    left %= unit[first].seconds;
    if (first < 3 && left >= unit[first + 1].seconds)
        strbuf_printf(out, " %llu %s", (unsigned long long)(left / unit[first + 1].seconds), unit[first + 1].name);
}

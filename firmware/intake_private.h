/* What intake.c and intake_mail.c share; for these two alone. */
#ifndef FIRMWARE_INTAKE_PRIVATE_H
#define FIRMWARE_INTAKE_PRIVATE_H

#include "board/plan_sizes.h"
#include "firmware/cut_through.h"
#include "firmware/mail_scan.h"
#include "firmware/spool.h"
#include "firmware/submission.h"
#include "net/tcp.h"

enum service_index { ON_25, ON_587, ON_465, ON_80, ON_443, SERVICES };

struct slot {
    struct task task;
    bool used;
    enum service_index service;
    uint32_t sid;
    uint64_t started_ms;
    uint64_t renewed_ms; /* start, or the last mail taken */
    bool trusted, normalise;
    bool ptr_known;
    char ptr[DOMAIN_TEXT_MAX];
    char host_name[DOMAIN_TEXT_MAX];
    struct tcp_conn conn;
    struct stream stream;
    struct smtp_server server;
    struct smtp_server_params params;
    struct tls_params tls;
    struct tls_facts facts;
    struct arena arena;
    struct spool_writer writer;
    struct cut_through cut;
    struct mail_scan scan;
    struct submission submission;
    char recipient[SPOOL_ADDRESS_MAX + 1]; /* the latest */
    bool data_open;
    enum rc write_rc;
    uint8_t ring[TCP_RING_BYTES];
    uint8_t chunk[SPOOL_CHUNK_BYTES] __attribute__((aligned(16)));
    uint8_t stack[PLAN_SESSION_STACK_BYTES] __attribute__((aligned(16)));
    uint8_t tls_memory[PLAN_INTAKE_ARENA_BYTES] __attribute__((aligned(16)));
};

/* The answers to the dialogue, ctx being the slot; the second is for when there are users. */
extern const struct smtp_server_ops intake_dialogue, intake_dialogue_with_auth;

#endif

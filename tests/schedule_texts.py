"""Outlines of schedules, before and after, that :mod:`test_schedule_steps` expects."""

#: what a sparse layer reads for each of its products
READ = "indptr, data, offsets, input"
DIRECT_BEFORE = """
    parallel 28: for 1: for 1:
        if:
            room for own
            for ...: for 3: for 3: for 8: for 2: for 8:
                at the start: own = bias
                own = own, READ
            for 8: for 2: for 8: output = own, residual
        else:
            2 x room for own
            for ...: for 3: for 3: 2 x for 8: for 1: for 8:
                at the start: own = bias
                own = own, READ
            2 x for 8: for 1: for 8: output = own, residual
    """
DIRECT_AFTER = """
    parallel 28: for 1: for 1:
        if:
            room for own
            unrolled 8: unrolled 2: vector 8: own = bias
            for ...: unrolled 3: unrolled 3: unrolled 8: unrolled 2: vector 8: own = own, READ
            unrolled 8: unrolled 2: vector 8: output = own, residual
        else:
            2 x room for own
            2 x unrolled 8: unrolled 1: vector 8: own = bias
            for ...: unrolled 3: unrolled 3: 2 x unrolled 8: unrolled 1: vector 8: own = own, READ
            2 x unrolled 8: unrolled 1: vector 8: output = own, residual
    """
STAGED_BEFORE = """
    parallel 2:
        room for own
        for 9:
            if:
                room for own
                for 16: for 3: for 3: for 8: for 2: for 8:
                    at the start: own = bias
                    own = own, data, input
                for 8: for 2: for 8: own = own
            else:
                room for own
                for 16: for 3: for 3: for 8: for 1: for 4:
                    at the start: own = bias
                    own = own, data, input
                for 8: for 1: for 4: own = own
        for 8: for 10:
            2 x room for own
            vector 8: own = own
            vector 4: own = own
            vector 8: output = own
            vector 4: output = own
    """
STAGED_AFTER = """
    parallel 2:
        room for own
        for 9:
            if:
                room for own
                unrolled 8: unrolled 2: vector 8: own = bias
                for 16: unrolled 3: unrolled 3: unrolled 8: unrolled 2: vector 8: own = own, data, input
                unrolled 8: unrolled 2: vector 8: own = own
            else:
                room for own
                unrolled 8: unrolled 1: vector 4: own = bias
                for 16: unrolled 3: unrolled 3: unrolled 8: unrolled 1: vector 4: own = own, data, input
                unrolled 8: unrolled 1: vector 4: own = own
        for 8: for 10:
            2 x room for own
            vector 8: own = own
            vector 4: own = own
            vector 8: output = own
            vector 4: output = own
    """
#: of a tile: TAPS are the loops over them
WINDOW_BEFORE = """
        for 8:
            room for own
            TAPS: for 2: for 8:
                at the start: own = -inf
                own = own
            for 2: for 8: output = own
        if: call
    """
WINDOW_AFTER = """
        for 8:
            room for own
            unrolled 2: vector 8: own = -inf
            TAPS: unrolled 2: vector 8: own = own
            unrolled 2: vector 8: output = own
        if: call
    """
LINEAR_BEFORE = """
    parallel 1: for 1:
        room for own
        for 12: for 2: for 2: for 4: for 8:
            at the start: own = bias
            own = own, data, input
        for 0: 8 x vector 8: own = own, data, input
        for 2: for 4: for 8: output = own
    """
LINEAR_AFTER = """
    parallel 1: for 1:
        room for own
        unrolled 2: unrolled 2: unrolled 4: vector 8: own = bias
        for 12: unrolled 2: unrolled 2: unrolled 4: vector 8: own = own, data, input
        for 0: 8 x vector 8: own = own, data, input
        unrolled 2: unrolled 4: vector 8: output = own
    """
CHAIN_BEFORE = """
    parallel 4:
        room for own
        for 16: own = 0
        for 4: for 19: own = 0
        for 12: own = 0
        for 1:
            room for own
            own = ...
            own = 7
            for ...:
                if:
                    room for own
                    for 3: for 3: for 3: for 4: for 2: for 8:
                        at the start: own = bias
                        own = own, data, input
                    for 4: for 2: for 8: own = mask, own
                else:
                    2 x room for own
                    for 3: for 3: for 3: 2 x for 4: for 1: for 8:
                        at the start: own = bias
                        own = own, data, input
                    2 x for 4: for 1: for 8: own = mask, own
            for 4:
                for 7:
                    room for own
                    for 3: for 3: for 2: for 8:
                        at the start: own = window_bias
                        own = own, window_data
                    for 2: for 8: output = own
                if: call
    """
CHAIN_AFTER = """
    parallel 4:
        room for own
        for 16: own = 0
        for 4: for 19: own = 0
        for 12: own = 0
        for 1:
            room for own
            own = ...
            own = 7
            for ...:
                if:
                    room for own
                    unrolled 4: unrolled 2: vector 8: own = bias
                    for 3: unrolled 3: unrolled 3: unrolled 4: unrolled 2: vector 8: own = own, data, input
                    unrolled 4: unrolled 2: vector 8: own = mask, own
                else:
                    2 x room for own
                    2 x unrolled 4: unrolled 1: vector 8: own = bias
                    for 3: unrolled 3: unrolled 3: 2 x unrolled 4: unrolled 1: vector 8: own = own, data, input
                    2 x unrolled 4: unrolled 1: vector 8: own = mask, own
            for 4:
                for 7:
                    room for own
                    unrolled 2: vector 8: own = window_bias
                    unrolled 3: unrolled 3: unrolled 2: vector 8: own = own, window_data
                    unrolled 2: vector 8: output = own
                if: call
    """
